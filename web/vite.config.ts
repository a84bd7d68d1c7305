import { defineConfig } from "vitest/config";

// `npm run dev` talks to a server that runs beside it: DYSENVDM_URL=http://127.0.0.1:8000 npm run dev
const server = process.env.DYSENVDM_URL ?? "http://127.0.0.1:8000";
const routes = ["/v1", "/healthz", "/readyz"];

export default defineConfig({
  // Relative addresses, so that the page also works behind a proxy that gives it a folder.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../serving/page",
    emptyOutDir: true,
    assetsInlineLimit: 0, // data: addresses would need more than default-src 'self'
    modulePreload: { polyfill: false }, // an inline script otherwise
    target: ["chrome123", "firefox128", "safari17.5"], // light-dark() stays as it is
    rolldownOptions: {
      input: { page: "index.html", editor: "plan.html" },
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  server: { proxy: Object.fromEntries(routes.map((route) => [route, { target: server, changeOrigin: true }])) },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}", "src/**/*.test.{ts,tsx}"] },
});
