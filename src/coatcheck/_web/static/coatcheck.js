// The script of the page. Without it everything can be read and done; with it the page is live and has keys.
"use strict";

const root = document.documentElement;
root.classList.add("has-script");

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// --- times in the reader's zone ---------------------------------------------------------------------------------------

const two = (number) => String(number).padStart(2, "0");
const formats = { // as wide as what the server prints, so that nothing moves
  moment: (t) => `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}`,
  clock: (t) => `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`,
};

function showTimes(within) {
  for (const time of all("time[datetime]", within)) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.textContent = formats[time.dataset.format](moment);
    time.title = moment.toString();
  }
}

// --- live parts: replaced by those of the same address ------------------------------------------------------------------

const PAUSE = 250; // milliseconds in which further events join a replacement
let timer = 0;
let isLoading = false;
let isAgain = false;

function schedule() {
  if (!timer) timer = setTimeout(load, PAUSE);
}

async function load() {
  timer = 0;
  if (isLoading) {
    isAgain = true;
    return;
  }
  isLoading = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (response.ok) replaceParts(new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch {
    // the stream's own error shows that the server cannot be reached
  } finally {
    isLoading = false;
    if (isAgain) {
      isAgain = false;
      schedule();
    }
  }
}

// An element with data-live and an id is replaced as a whole; with data-live="rows" only its rows of the same key are,
// and a link offers to load the list again where other rows came: nothing moves under the reader's pointer.
function replaceParts(fresh) {
  for (const old of all("[data-live][id]")) {
    const next = fresh.getElementById(old.id);
    if (!next || isInUse(old)) continue;
    if (old.dataset.live === "rows") replaceRows(old, next);
    else if (withoutTimes(old) !== withoutTimes(next)) replaceOne(old, next);
  }
}

const isInUse = (element) => element.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

function withoutTimes(element) {
  const copy = element.cloneNode(true);
  for (const time of all("time", copy)) time.replaceChildren();
  for (const time of all("time", copy)) time.removeAttribute("title");
  for (const details of all("details", copy)) details.removeAttribute("open");
  for (const item of all(".current", copy)) item.classList.remove("current");
  for (const item of all("[class='']", copy)) item.removeAttribute("class");
  return copy.innerHTML;
}

function replaceOne(old, next) {
  const open = all("details[open][id]", old).map((each) => each.id);
  const isFocused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const key = old.dataset.key && old.classList.contains("current");
  showTimes(next);
  old.replaceWith(next);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (isFocused) document.getElementById(isFocused)?.focus();
  if (key) next.classList.add("current");
}

function replaceRows(old, next) {
  const rows = new Map(all("[data-key]", next).map((each) => [each.dataset.key, each]));
  for (const row of all("[data-key]", old)) {
    const fresh = rows.get(row.dataset.key);
    if (fresh && withoutTimes(row) !== withoutTimes(fresh)) replaceOne(row, fresh.cloneNode(true));
    rows.delete(row.dataset.key);
  }
  const changed = document.getElementById("changed");
  if (changed) changed.hidden = rows.size === 0;
}

function listen() {
  const connection = document.getElementById("connection");
  const source = new EventSource(`/events?after=${meta("newest-event")}`);
  let hasFailed = false;
  source.addEventListener("open", () => {
    connection.textContent = "";
    if (hasFailed) schedule();
    hasFailed = false;
  });
  source.addEventListener("change", (event) => {
    const { type, subject } = JSON.parse(event.data);
    const wanted = document.body.dataset.subject;
    if (!wanted || subject === wanted || type.startsWith("gate.")) schedule();
  });
  source.addEventListener("error", () => {
    hasFailed = true;
    connection.textContent = source.readyState === EventSource.CLOSED
      ? "Not live: load the page again" : "Not live: the server does not answer";
  });
  addEventListener("pagehide", () => source.close());
}

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// --- a form is sent once ------------------------------------------------------------------------------------------------

addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 10000);
});

// --- keys -----------------------------------------------------------------------------------------------------------------

let current = -1;
let isGoing = false;
const GO = { t: "/", g: "/gates", s: "/settings", n: "/submit" };

function move(step) {
  const items = all("[data-item]").filter((each) => each.offsetParent !== null);
  if (!items.length) return;
  const marked = items.findIndex((each) => each.classList.contains("current"));
  current = Math.max(0, Math.min(items.length - 1, (marked < 0 ? (step > 0 ? -1 : items.length) : marked) + step));
  for (const each of items) each.classList.toggle("current", each === items[current]);
  const link = items[current].querySelector("[data-open]") ?? items[current];
  link.focus({ preventScroll: true });
  items[current].scrollIntoView({ block: "nearest" });
}

function press(key) {
  const button = document.querySelector(`.current [data-press="${key}"], [data-press="${key}"]`);
  if (!button) return;
  button.focus();
  button.scrollIntoView({ block: "nearest" });
  if (button.matches("a")) button.click();
}

function help() {
  const dialog = document.getElementById("keys");
  if (!dialog.open) dialog.showModal();
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
  const { key } = event;
  if (isGoing && GO[key]) location.assign(GO[key]);
  else if (key === "?") help();
  else if (key === "j") move(1);
  else if (key === "k") move(-1);
  else if (key === "/") document.getElementById("search")?.focus();
  else if (key === "u") document.querySelector("[data-up]")?.click();
  else if (key === "a" || key === "r") press(key);
  else if (key !== "g") return void (isGoing = false);
  isGoing = key === "g" && !isGoing;
  event.preventDefault();
}

addEventListener("keydown", onKey);
showTimes(document);
if (meta("newest-event")) listen();
