import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parse, PlanDiff, PlanEditor, PlanTrack } from "../../src/plan";
import type { Dsg } from "../../src/dsg";
import { park } from "./plans";

let root: HTMLElement;
let changes: Dsg[];

beforeEach(() => {
  root = document.createElement("div");
  document.body.append(root);
  changes = [];
});
afterEach(() => {
  void act(() => render(null, root));
  root.remove();
});

const plan = (): Dsg => parse(park);

function show(dsg: Dsg, readOnly = false): void {
  void act(() =>
    render(
      <PlanEditor dsg={dsg} onChange={(next) => changes.push(next)} tick={1} onTick={() => {}} readOnly={readOnly} seconds={4} />,
      root,
    ),
  );
}
const button = (name: string): HTMLButtonElement | undefined =>
  [...root.querySelectorAll("button")].find((each) => (each.getAttribute("aria-label") ?? each.textContent) === name);
const click = (name: string): void => void act(() => button(name)!.click());

it("emits nothing before the person changes something", () => {
  show(plan());
  show(plan());
  expect(changes).toEqual([]);
});

it("keeps vetoes and history while it gets back what it gave, and begins anew with anything else", () => {
  show(plan());
  click("Veto dog look at girl");
  expect(changes).toHaveLength(1);
  show(JSON.parse(JSON.stringify(changes[0])) as Dsg); // a copy, as from a store
  expect(button("Bring back dog look at girl")).toBeDefined();
  expect(button("Undo")!.disabled).toBe(false);
  show({ ...plan(), prompt: "another" });
  expect(button("Veto dog look at girl")).toBeDefined();
  expect(button("Undo")!.disabled).toBe(true);
  expect(changes).toHaveLength(1);
});

it("loses no edit that was made before the page gave the last one back", () => {
  show(plan());
  click("Veto dog look at girl");
  click("Delete girl jump over box");
  expect(changes).toHaveLength(2);
  const copies = changes.map((each) => JSON.parse(JSON.stringify(each)) as Dsg);
  show(copies[0]!); // late: the second edit is on its way
  expect(button("Bring back dog look at girl")).toBeDefined();
  expect(button("Rename girl jump over box")).toBeUndefined();
  show(copies[1]!);
  expect(button("Rename girl jump over box")).toBeUndefined();
  click("Undo");
  click("Undo");
  expect(button("Undo")!.disabled).toBe(true);
  expect(changes).toHaveLength(4);
  show(changes[3]!);
  show(copies[1]!); // the page has caught up, so that this is another plan
  expect(button("Undo")!.disabled).toBe(true);
  expect(button("Rename girl jump over box")).toBeUndefined();
});

it("offers nothing to change where it is read only, and tells bars in words", () => {
  show(plan(), true);
  expect([...root.querySelectorAll("button")].map((each) => each.getAttribute("aria-label"))).toEqual([
    "Zoom out", "Zoom in", "Facts about girl", "Facts about box", "Facts about dog",
  ]);
  expect([...root.querySelectorAll("[role=slider]")].map((each) => each.getAttribute("aria-label"))).toEqual(["Cursor"]);
  const bars = [...root.querySelectorAll(".plan-bar")].map((each) => each.getAttribute("aria-label"));
  expect(bars).toContain("girl jump over box, from 1 s to 2.5 s");
});

it("says what is wrong with a plan that breaks a rule, and shows the next good one", () => {
  show({ ...plan(), ticks: 3 });
  expect(root.querySelector("[role=alert]")!.textContent).toContain("objects[1].end: is beyond the plan's 3 ticks");
  show(plan());
  expect(root.querySelector("[role=alert]")).toBeNull();
  expect(button("Rename girl")).toBeDefined();
});

it("has one row in the tab order", () => {
  show(plan());
  const rows = [...root.querySelectorAll("[data-part][tabindex='0']")].map((each) => each.closest("[data-row]"));
  expect(new Set(rows).size).toBe(1);
});

it("draws the facts of the tick under the cursor", () => {
  show(plan());
  const label = root.querySelector("svg[role=img]")!.getAttribute("aria-label");
  expect(label).toBe("Scene at 0.5 s: girl wave; girl in a red coat; dog look at girl (imagined); box wooden (imagined)");
});

it("tells the track's place and what happens there", () => {
  const seeks: number[] = [];
  void act(() => render(<PlanTrack dsg={plan()} time={0.3} onSeek={(to) => seeks.push(to)} seconds={8} />, root));
  const track = root.querySelector("[role=slider]")!;
  expect(track.getAttribute("aria-valuetext")).toBe("2.4 s; dog look at girl; girl jump over box");
  track.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
  track.dispatchEvent(new KeyboardEvent("keydown", { key: "Home", bubbles: true }));
  expect(seeks).toEqual([3 / 8, 0]);
});

it("shows that two plans are the same, or what they differ in", () => {
  void act(() => render(<PlanDiff before={plan()} after={plan()} />, root));
  expect(root.textContent).toBe("The two plans are the same.");
  const other = { ...plan(), facts: plan().facts.slice(1) };
  void act(() => render(<PlanDiff before={plan()} after={other} names={["left", "right"]} />, root));
  expect(root.querySelectorAll("li")).toHaveLength(1);
  expect(root.textContent).toContain("only in left");
});
