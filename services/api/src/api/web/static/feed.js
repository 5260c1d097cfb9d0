// The live feed: shows events as they come, and brings the page's live parts up to date.
import { refreshTimes } from "./times.js";
import { enhanceForms } from "./forms.js";

const EVENTS = {
  "run.started": ["busy", "ring", "started"],
  "run.completed": ["good", "dot", "completed"],
  "run.failed": ["bad", "cross", "failed"],
  "run.skipped": ["still", "dash", "left out"],
  "run.cancelled": ["still", "dash", "cancelled"],
  "delivery.delivered": ["good", "dot", "got a delivery"],
  "delivery.failed": ["bad", "cross", "missed a delivery"],
};
const KEPT = 16;
const AT_MOST_EVERY = 1500;
const POLL = 2000;
const REFUSED = 30_000;

let pending = null;
let last = 0;

function worthRefreshing() {
  return document.querySelector("[data-live]") !== null;
}

function soon(delay = 250) {
  if (pending !== null || !worthRefreshing()) return;
  const wait = Math.max(delay, last + AT_MOST_EVERY - Date.now());
  pending = setTimeout(async () => {
    pending = null;
    last = Date.now();
    if (!document.hidden) await refresh();
  }, wait);
}

// Fetches this page again and replaces its live parts, except where the viewer is typing or reading.
async function refresh() {
  let answer;
  try {
    answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  } catch {
    return;
  }
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    location.assign(answer.url);
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = part.id && fresh.getElementById(part.id);
    if (!next || part.contains(document.activeElement)) continue;
    if (part.querySelector("details[open]") || part.matches(":has(input[type=radio]:not([value=all]):checked)")) continue;
    refreshTimes(next);
    if (next.innerHTML === part.innerHTML) continue;
    const adopted = document.importNode(next, true);
    part.replaceWith(adopted);
    enhanceForms(adopted);
  }
}

function glyph(tone, shape, label) {
  const mark = document.createElement("span");
  mark.className = `mark tone-${tone}`;
  mark.title = label;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `/static/icons.svg#${shape}`);
  svg.append(use);
  mark.append(svg);
  return mark;
}

function show(list, name, data) {
  const [tone, shape, words] = name === "run.failed" && data.retry_at ? ["warn", "triangle", "failed, will be tried again"] : EVENTS[name];
  const subject = name.startsWith("delivery.") ? data.destination_name : data.automation_name;
  const item = document.createElement("li");
  item.className = "fresh";
  const text = document.createElement("span");
  text.className = "text";
  const title = document.createElement(data.run_id ? "a" : "strong");
  title.textContent = subject || "Something";
  if (data.run_id) {
    title.className = "cover";
    title.href = `/runs/${data.run_id}`;
  }
  const what = document.createElement("span");
  what.textContent = name === "run.skipped" ? `${data.slots} slot${data.slots === 1 ? "" : "s"} left out (${data.reason})` : words;
  text.append(title, " ", what);
  const end = document.createElement("span");
  end.className = "end";
  const time = document.createElement("time");
  time.dateTime = new Date().toISOString();
  time.dataset.when = "relative";
  time.textContent = "now";
  end.append(time);
  item.append(glyph(tone, shape, words), text, end);
  list.querySelector(".empty")?.remove();
  list.prepend(item);
  while (list.children.length > KEPT) list.lastElementChild.remove();
  return `${title.textContent} ${what.textContent}`;
}

// Spoken now and then, the latest only: a busy feed must not talk without end.
let spoken = 0;
function announce(text, urgent) {
  const now = Date.now();
  if (!urgent && now - spoken < 10_000) return;
  spoken = now;
  document.getElementById("announcements").textContent = text;
}

function poll() {
  setInterval(() => { if (document.querySelector("[data-poll]")) soon(0); }, POLL);
}

export function follow() {
  if (!document.body.classList.contains("signed-in") || !worthRefreshing()) return;
  poll();
  const state = document.querySelector("[data-feed-state]");
  const list = document.querySelector("[data-feed]");
  const say = (text, open) => {
    if (!state) return;
    state.textContent = text;
    state.classList.toggle("open", open);
  };
  let dropped = false;
  let source = null;
  function open() {
    source = new EventSource("/api/events");
    source.addEventListener("hello", () => {
      say("live", true);
      if (dropped) soon(0);
      dropped = false;
    });
    source.addEventListener("error", () => {
      dropped = true;
      const refused = source.readyState === EventSource.CLOSED;
      say(refused ? "paused" : "reconnecting", false);
      if (refused) setTimeout(open, REFUSED); // too many tabs, or a restart: the browser gives up by itself
    });
    for (const name of Object.keys(EVENTS)) {
      source.addEventListener(name, (event) => {
        const data = JSON.parse(event.data);
        if (list) announce(show(list, name, data), name.endsWith(".failed"));
        soon();
      });
    }
  }
  open();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(0); });
  addEventListener("pagehide", () => source.close());
}
