"use strict";
// Shows one pair after the other, keeps every answer in this browser, and saves all of them as one file.
const study = JSON.parse(document.getElementById("study").textContent);
const main = document.getElementById("main");
const slot = "dysenvdm.study." + study.study;
const sides = { left: "Left video", right: "Right video" };
let store = { last: "", raters: {} }; // several raters may share a browser
let state = fresh("");
let kept = true;

function fresh(rater) { return { rater, answers: {} }; }

try {
  const before = JSON.parse(localStorage.getItem(slot));
  if (before && typeof before.last === "string" && before.raters) store = before;
  localStorage.setItem(slot, JSON.stringify(store));
} catch { kept = false; }

function keep() {
  store.last = state.rater;
  store.raters["rater " + state.rater] = state;
  try { localStorage.setItem(slot, JSON.stringify(store)); } catch { kept = false; }
}

function make(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function show(heading, ...children) {
  const title = make("h1", { tabIndex: -1 }, heading);
  main.replaceChildren(title, ...children);
  window.scrollTo(0, 0);
  title.focus();
  document.title = heading + " · " + study.title;
  return title;
}

function button(text, action, important = false) {
  return make("button", { type: "button", className: important ? "main" : "", onclick: action }, text);
}

function answered(item) {
  const mine = state.answers[item.id];
  return Boolean(mine) && Object.keys(sides).every((side) => study.questions.every((q) => q.id in mine[side]));
}

function welcome() {
  const alert = make("p", { role: "alert" });
  const name = make("input", { type: "text", id: "rater", value: store.last, maxLength: 60, autocomplete: "off" });
  const begin = (event) => {
    event.preventDefault();
    if (!name.value.trim()) { alert.textContent = "Please give a name or a number first."; name.focus(); return; }
    const rater = name.value.trim();
    state = store.raters["rater " + rater] ?? fresh(rater);
    keep();
    next();
  };
  const asked = make("ul", {}, ...study.questions.map((q) => make("li", {}, make("strong", {}, q.title), ": " + q.text)));
  show(study.title,
    make("p", {}, "You will see " + study.items.length + " pairs of videos. Both videos of a pair were made from the text above them."),
    make("p", {}, "Watch both, as often as you like, and rate each of them from " + study.lowest + " (very poor) to " + study.highest + " (very good):"),
    asked,
    make("p", {}, "At the end you save your answers as a file and send it to whoever asked you. Nothing leaves this page by itself."),
    make("p", { className: "quiet" }, kept
      ? "Your answers are kept in this browser: you may close the page and go on later."
      : "This browser keeps nothing: please answer all pairs in one go and leave the page open."),
    make("form", { onsubmit: begin },
      make("label", { htmlFor: "rater" }, "Your name, or the number that you were given"), name, alert,
      make("div", { className: "row" }, make("button", { type: "submit", className: "main" }, store.last ? "Go on" : "Begin"))));
}

function next() {
  const open = study.items.findIndex((item) => !answered(item));
  if (open < 0) finish(); else pair(open);
}

function player(item, side, mine) {
  const video = make("video", {
    src: item[side], controls: true, loop: true, muted: true, playsInline: true, preload: "auto", "aria-label": sides[side],
  });
  video.addEventListener("play", () => { mine.plays[side] += 1; keep(); });
  return video;
}

function scale(item, side, question, mine) {
  const name = [item.id, side, question.id].join(".");
  const choices = [];
  for (let value = study.lowest; value <= study.highest; value += 1) {
    const radio = make("input", { type: "radio", name, value: String(value), checked: mine[side][question.id] === value });
    const word = value === study.lowest ? "very poor" : value === study.highest ? "very good" : "";
    radio.setAttribute("aria-label", value + (word && ", " + word));
    radio.addEventListener("change", () => {
      mine[side][question.id] = value;
      radio.closest("fieldset").classList.remove("missing");
      keep();
    });
    choices.push(make("label", {}, radio, String(value)));
  }
  return make("fieldset", {}, make("legend", {}, question.title), make("div", { className: "scale" }, ...choices),
    make("div", { className: "ends", "aria-hidden": "true" }, make("span", {}, "very poor"), make("span", {}, "very good")));
}

function pair(at) {
  const item = study.items[at];
  const mine = (state.answers[item.id] ??= { left: {}, right: {}, seconds: 0, plays: { left: 0, right: 0 } });
  keep();
  const since = performance.now(), before = mine.seconds;
  const leave = (where) => {
    mine.seconds = Math.round((before + (performance.now() - since) / 1000) * 10) / 10;
    keep();
    where();
  };
  const videos = Object.keys(sides).map((side) => player(item, side, mine));
  const columns = Object.keys(sides).map((side, i) => make("section", { "aria-label": sides[side] },
    make("h2", {}, sides[side]), videos[i], ...study.questions.map((q) => scale(item, side, q, mine))));
  const alert = make("p", { role: "alert" });
  const forward = () => {
    const unseen = videos.find((video, i) => !mine.plays[Object.keys(sides)[i]]);
    if (unseen) { alert.textContent = "Please watch both videos first."; unseen.focus(); return; }
    const groups = [...main.querySelectorAll("fieldset")];
    const missing = groups.filter((group) => !group.querySelector(":checked"));
    groups.forEach((group) => group.classList.toggle("missing", missing.includes(group)));
    if (missing.length) {
      alert.textContent = "Please answer all questions: " + missing.length + (missing.length > 1 ? " are" : " is") + " open.";
      missing[0].querySelector("input").focus();
      return;
    }
    leave(at + 1 < study.items.length ? () => (answered(study.items[at + 1]) ? pair(at + 1) : next()) : next);
  };
  const play = () => videos.forEach((video) => { video.currentTime = 0; video.play(); });
  const count = "Pair " + (at + 1) + " of " + study.items.length;
  show(count,
    make("div", { className: "top" },
      make("progress", { max: study.items.length, value: at, "aria-label": "Pairs answered" })),
    make("p", { className: "prompt" }, item.prompt),
    make("div", { className: "row" }, button("Play both from the start", play)),
    make("div", { className: "pair" }, ...columns),
    alert,
    make("div", { className: "row" },
      button(at + 1 < study.items.length ? "Next pair" : "Finish", forward, true),
      ...(at ? [button("Back", () => leave(() => pair(at - 1)))] : [])));
}

function finish() {
  const said = make("p", { role: "status" });
  const save = () => {
    const file = { format: study.format, study: study.study, rater: state.rater, answers: state.answers };
    const link = make("a", {
      href: URL.createObjectURL(new Blob([JSON.stringify(file, null, 1) + "\n"], { type: "application/json" })),
      download: "ratings-" + study.study + "-" + state.rater.replace(/[^\p{L}\p{N}]+/gu, "_") + ".json",
    });
    link.click();
    said.textContent = "Saved. Please send the file to whoever asked you.";
  };
  const restart = () => {
    if (!window.confirm("Delete your answers from this browser?")) return;
    delete store.raters["rater " + state.rater];
    store.last = "";
    state = fresh("");
    try { localStorage.setItem(slot, JSON.stringify(store)); } catch { kept = false; }
    welcome();
  };
  show("Thank you",
    make("p", {}, "All " + study.items.length + " pairs are answered. Save your answers as a file and send it to whoever asked you."),
    make("div", { className: "row" }, button("Save my answers", save, true),
      button("Back to the last pair", () => pair(study.items.length - 1)),
      button("Delete my answers", restart)),
    said);
}

welcome();
