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
  for (const text of all("text[data-time]", within)) { // below the bars of a chart
    text.textContent = formats.moment(new Date(text.dataset.time)).slice(text.dataset.from);
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

// data-live="": replaced at once; its size stays, or nothing follows it. "rows": its rows of the same key are replaced.
// "held": it would move what the reader sees, so a button shows it, unless it is below the window.
// New rows and held parts wait in `pending` for the button: nothing moves under the reader's pointer.
let pending = null;

function replaceParts(fresh, isAsked = false) {
  let isWaiting = false;
  for (const old of all("[data-live][id]")) {
    const next = fresh.getElementById(old.id);
    if (!next || isInUse(old)) continue;
    const isSame = withoutTimes(old) === withoutTimes(next);
    if (isSame) continue;
    const isBelow = old.getBoundingClientRect().top > innerHeight;
    if (isAsked || old.dataset.live === "" || isBelow) replaceOne(old, next);
    else if (old.dataset.live === "rows") isWaiting = replaceRows(old, next) || isWaiting;
    else isWaiting = true;
  }
  pending = isWaiting ? fresh : null;
  document.getElementById("changed").hidden = !isWaiting;
}

function showPending() {
  if (pending) replaceParts(pending, true);
  document.getElementById("main").focus({ preventScroll: true });
}

const isInUse = (element) => element.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");

function withoutTimes(element) {
  const copy = element.cloneNode(true);
  for (const time of all("time, text[data-time]", copy)) time.replaceChildren();
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
  return rows.size > 0;
}

// --- events: one stream for all pages of the browser, which open at most six connections to a server --------------------

const CHANNEL = "coatcheck events";
let lastEvent = meta("newest-event");

function receive({ id, data, status }) {
  if (status !== undefined) {
    const connection = document.getElementById("connection");
    if (connection.textContent && !status) schedule();
    connection.textContent = status;
    return;
  }
  lastEvent = id;
  const { type, subject } = JSON.parse(data);
  const wanted = document.body.dataset.subject;
  if (!wanted || subject === wanted || type.startsWith("gate.")) schedule();
}

// Returns a promise that is kept when the stream has ended for good: another page may then open one.
function stream(send) {
  return new Promise((end) => {
    const source = new EventSource(`/events?after=${lastEvent}`);
    source.addEventListener("open", () => send({ status: "" }));
    source.addEventListener("change", ({ lastEventId, data }) => send({ id: lastEventId, data }));
    source.addEventListener("error", () => {
      const isOver = source.readyState === EventSource.CLOSED;
      send({ status: isOver ? "Not live: load the page again" : "Not live: the server does not answer" });
      if (isOver) end();
    });
    addEventListener("pagehide", () => source.close());
  });
}

function listen() {
  if (!navigator.locks) return stream(receive);
  const channel = new BroadcastChannel(CHANNEL);
  channel.addEventListener("message", ({ data }) => receive(data));
  const send = (message) => {
    receive(message);
    channel.postMessage(message);
  };
  return navigator.locks.request(CHANNEL, () => stream(send));
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
const GO = { t: "/", f: "/fleets", g: "/gates", l: "/log", s: "/settings", n: "/submit" };

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
  button.closest("details")?.setAttribute("open", "");
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
  else if ("acr".includes(key)) press(key);
  else if (key > "0" && key <= "9") document.querySelector(`[data-key-link="${key}"]`)?.click();
  else if (key === ".") showPending();
  else if (key !== "g") return void (isGoing = false);
  isGoing = key === "g" && !isGoing;
  event.preventDefault();
}

addEventListener("keydown", onKey);
document.getElementById("show-changes")?.addEventListener("click", showPending);
showTimes(document);
const navigation = document.querySelector(".top nav"); // scrolls sideways on a phone
const page = navigation?.querySelector("[aria-current]");
if (page) navigation.scrollLeft = page.offsetLeft - navigation.offsetLeft - navigation.clientWidth / 2 + page.offsetWidth / 2;
if (meta("newest-event")) listen();
