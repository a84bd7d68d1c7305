import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Draws a picture that came as bytes: `default-src 'self'` allows neither data: nor blob: addresses. */
export function Picture(props: {
  blob: Blob;
  label: string;
  class?: string;
  onBroken?: () => void;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { blob, onBroken } = props;
  useEffect(() => {
    let stale = false;
    createImageBitmap(blob).then(
      (image) => {
        if (!stale && canvas.current) {
          canvas.current.width = image.width;
          canvas.current.height = image.height;
          canvas.current.getContext("2d")?.drawImage(image, 0, 0);
        }
        image.close();
      },
      () => !stale && onBroken?.(),
    );
    return () => {
      stale = true;
    };
  }, [blob, onBroken]);
  return <canvas ref={canvas} class={props.class} role="img" aria-label={props.label} />;
}

export function blobOfBase64(text: string): Blob | null {
  try {
    return new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]);
  } catch {
    return null;
  }
}
