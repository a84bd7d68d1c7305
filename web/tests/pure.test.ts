import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { readEvent } from "../src/api/events";
import type { VideoJob } from "../src/api/types";
import type { Dsg } from "../src/dsg";
import { readLive } from "../src/follow";
import { merge } from "../src/gallery/list";
import { layOut, visible } from "../src/gallery/virtual";
import { readNumber } from "../src/parts/Field";
import { clock, frameAt, secondsOf, spritePosition } from "../src/player/frames";
import { sheetOf } from "../src/player/sheet";
import { EMPTY, fromVideo, planIsStale, restoreDraft, toRequest } from "../src/recipe";
import { formatRoute, parseRoute, type Route } from "../src/router";

fc.configureGlobal({ seed: 11 });

const DSG: Dsg = { format: "dysenvdm.dsg/1", prompt: "a girl", ticks: 8, objects: [], facts: [] };
const JOB: VideoJob = {
  object: "video", id: "video_1", status: "completed", progress: 100, created_at: 1, completed_at: 2, expires_at: null,
  error: null, prompt: "a girl", planner: "rules", ticks: 8, seed: 5, degraded: null, model: "stage-nano", size: "64x48",
  seconds: "2", stage: "generate", expired: false, remixed_from_video_id: null, has_dsg: true, num_frames: 16, fps: 8,
  num_inference_steps: 25, guidance_scale: 1.5, scene_guidance: null, negative_prompt: "",
};

describe("routes", () => {
  it("come back as they were written, whatever the ids are", () => {
    const id = fc.string({ minLength: 1 });
    const maybe = fc.option(id);
    const routes: fc.Arbitrary<Route> = fc.oneof(
      fc.constant<Route>({ view: "create" }),
      fc.constant<Route>({ view: "gallery" }),
      id.map((each): Route => ({ view: "video", id: each })),
      fc.tuple(maybe, maybe).map(([left, right]): Route => ({ view: "compare", left, right })),
    );
    fc.assert(
      fc.property(routes, (route) => {
        expect(parseRoute(formatRoute(route))).toEqual(route);
      }),
    );
  });
  it("are the form where the address says nothing known", () => {
    for (const hash of ["", "#", "#/", "#/nonsense", "#/video/", "#main"]) expect(parseRoute(hash).view).toBe("create");
  });
});

describe("recipes", () => {
  it("say nothing about what was left empty", () => {
    expect(toRequest({ ...EMPTY, prompt: " a girl " }, 3)).toEqual({ prompt: "a girl", seed: 3, negative_prompt: "" });
  });
  it("of a video make the same video again", () => {
    const again = toRequest(fromVideo(JOB, DSG, false), JOB.seed);
    expect(again).toEqual({
      prompt: "a girl", seed: 5, negative_prompt: "", model: "stage-nano", dsg: DSG, size: "64x48", num_frames: 16,
      fps: 8, num_inference_steps: 25, guidance_scale: 1.5,
    });
  });
  it("without a plan ask for none", () => {
    const alone = fromVideo({ ...JOB, planner: null, has_dsg: false }, null, false);
    expect(toRequest(alone, 5).planner).toBeNull();
    expect(toRequest(alone, 5)).not.toHaveProperty("dsg");
  });
  it("keep ticks and planner from a request that has its plan", () => {
    const request = toRequest({ ...EMPTY, prompt: "a girl", planner: "rules", ticks: 4, dsg: DSG }, 1);
    expect(request).not.toHaveProperty("planner");
    expect(request).not.toHaveProperty("ticks");
  });
  it("notice that the prompt went on without the plan", () => {
    expect(planIsStale({ ...EMPTY, prompt: "a girl ", dsg: DSG })).toBe(false);
    expect(planIsStale({ ...EMPTY, prompt: "a boy", dsg: DSG })).toBe(true);
    expect(planIsStale({ ...EMPTY, prompt: "a boy" })).toBe(false);
  });
  it("are restored from anything that a browser may have kept", () => {
    fc.assert(
      fc.property(fc.anything(), fc.dictionary(fc.constantFrom(...Object.keys(EMPTY), "other"), fc.anything()), (any, part) => {
        for (const saved of [any, part]) {
          const draft = restoreDraft(saved);
          expect(Object.keys(draft).sort()).toEqual(Object.keys(EMPTY).sort());
          expect(typeof draft.prompt).toBe("string");
          expect(draft.seed === null || Number.isFinite(draft.seed)).toBe(true);
        }
      }),
      { numRuns: 300, examples: [[{ valueOf: null }, {}]] },
    );
    const whole = fromVideo(JOB, DSG, true);
    expect(restoreDraft(JSON.parse(JSON.stringify(whole)))).toEqual(whole);
  });
});

describe("the gallery's window", () => {
  it("draws every card that can be seen, and a bounded number", () => {
    const sizes = fc.record({
      count: fc.nat(5000), width: fc.integer({ min: 100, max: 3000 }), least: fc.integer({ min: 80, max: 300 }),
      row: fc.integer({ min: 50, max: 400 }), top: fc.integer({ min: -2000, max: 400_000 }), height: fc.integer({ min: 100, max: 2000 }),
    });
    fc.assert(
      fc.property(sizes, ({ count, width, least, row, top, height }) => {
        const grid = layOut(count, width, 16, least, row);
        const [first, end] = visible(grid, count, top, height);
        for (let index = 0; index < count; index++) {
          const y = Math.floor(index / grid.columns) * grid.rowHeight;
          if (y + row > top && y < top + height) expect(index >= first && index < end).toBe(true);
        }
        expect(end - first).toBeLessThanOrEqual((Math.ceil(height / grid.rowHeight) + 5) * grid.columns);
      }),
    );
  });
  it("takes a fresh first page over what was loaded before", () => {
    const jobs = (...ids: number[]) => ids.map((id) => ({ id: String(id), created_at: id }));
    expect(merge(jobs(4, 3, 2, 1), jobs(5, 4, 3), true)).toEqual(jobs(5, 4, 3, 2, 1)); // a new one
    expect(merge(jobs(5, 4, 3, 2, 1), jobs(5, 3, 2), true)).toEqual(jobs(5, 3, 2, 1)); // one was deleted
    expect(merge(jobs(4, 3, 2, 1), jobs(4, 1), false)).toEqual(jobs(4, 1)); // the server has no more
    expect(merge(jobs(), jobs(2, 1), true)).toEqual(jobs(2, 1));
    expect(merge(jobs(3, 2, 1), jobs(9, 8, 7), true)).toEqual(jobs(9, 8, 7, 3, 2, 1)); // the last one it knew is gone
  });
});

describe("frames", () => {
  it("are found again by the seconds of their middle", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 900 }), fc.nat(), (fps, frames, any) => {
        const frame = any % frames;
        expect(frameAt(secondsOf(frame, fps), fps, frames)).toBe(frame);
      }),
    );
  });
  it("have their tile in the sheet as the server lays it out", () => {
    const sheet = sheetOf({ ...JOB, num_frames: 200 });
    expect(sheet).toEqual({ columns: 8, rows: 8, tiles: 64, aspect: 64 / 48 });
    expect(spritePosition(0, 200, sheet)).toEqual({ x: 0, y: 0 });
    expect(spritePosition(199, 200, sheet)).toEqual({ x: 100, y: 100 }); // tile 199 * 64 // 200 = 63
    expect(spritePosition(25, 200, sheet)).toEqual({ x: 0, y: (1 / 7) * 100 }); // tile 8
    expect(sheetOf({ ...JOB, num_frames: 3 })).toMatchObject({ columns: 3, rows: 1, tiles: 3 });
  });
  it("are told as a clock", () => {
    expect([0, 9.96, 61.25].map(clock)).toEqual(["0:00.0", "0:10.0", "1:01.3"]);
  });
});

describe("what people type", () => {
  it("is a number or nothing", () => {
    expect(["", " 7 ", "1,5", "1.", "x", "Infinity", "-2"].map(readNumber)).toEqual([null, 7, 1.5, 1, null, null, -2]);
  });
});

describe("events", () => {
  const live = { stage: null, doing: null, step: null, steps: null, preview: null };
  const event = (kind: string, data: object) => readEvent(kind, JSON.stringify({ number: 9, progress: 40, data }));
  it("tell where a job is", () => {
    const planning = readLive(live, event("stage", { stage: "plan", doing: "events" }));
    expect(planning).toMatchObject({ stage: "plan", doing: "events" });
    const stepping = readLive(planning, event("step", { step: 3, steps: 25 }));
    expect(readLive(stepping, event("preview", {}))).toMatchObject({ stage: "generate", step: 3, steps: 25, preview: 9 });
    expect(readLive(stepping, event("requeued", {}))).toEqual(live);
  });
  it("of any content break nothing", () => {
    fc.assert(
      fc.property(fc.constantFrom("stage", "step", "preview", "other"), fc.oneof(fc.string(), fc.json()), (kind, text) => {
        const read = readEvent(kind, text);
        expect(typeof read.progress).toBe("number");
        readLive(live, read);
      }),
    );
  });
});
