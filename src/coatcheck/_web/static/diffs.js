// The script of diffs: it loads files when they come near, shows lines between hunks, and has keys. Each thing that it does is a
// link as well, for browsers without script.
"use strict";

const compare = () => document.querySelector(".compare");
const files = () => [...document.querySelectorAll("details.file")];

async function fetchText(url) {
  const response = await fetch(url, { headers: { accept: "text/html" } });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.text();
}

// --- files that are loaded when they come near ----------------------------------------------------------------------------

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) load(entry.target);
}, { rootMargin: "2000px" });

// --- parts that are far away are kept as text: the collector of a browser stops the page for as long as it has elements ------

const texts = new Map(); // a part that is not shown, and its rows

const far = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) (isIntersecting ? restore : store)(target);
}, { rootMargin: "10000px" });

function store(part) {
  if (!part.isConnected) return void (far.unobserve(part), texts.delete(part));
  if (texts.has(part) || part.contains(document.activeElement) || isSelected(part)) return;
  texts.set(part, part.innerHTML);
  if (part.offsetHeight) part.style.height = `${part.offsetHeight}px`; // 0 in a closed file
  part.replaceChildren();
}

function restore(part) {
  if (!texts.has(part)) return;
  part.innerHTML = texts.get(part);
  part.style.height = "";
  texts.delete(part);
}

function isSelected(part) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(part, true);
}

const restoreAll = (within) => [...within.querySelectorAll(".rows")].forEach(restore);

const OBSERVED = [[".lazy", near], [".rows", far]];

function observe(within) {
  for (const [selector, observer] of OBSERVED) {
    if (within.matches?.(selector)) observer.observe(within);
    for (const place of within.querySelectorAll(selector)) observer.observe(place);
  }
}

async function load(place) {
  near.unobserve(place);
  const link = place.querySelector("a[data-part]");
  if (!link || place.dataset.loading) return;
  place.dataset.loading = "yes";
  try {
    const template = document.createElement("template");
    template.innerHTML = await fetchText(link.dataset.part);
    const parts = [...template.content.children];
    place.replaceWith(template.content);
    parts.forEach(observe); // only now: what is observed in a template's document is never seen
  } catch (error) {
    delete place.dataset.loading;
    link.textContent = `Load it again (${error.message})`;
  }
}

// --- lines between hunks --------------------------------------------------------------------------------------------------

async function expand(link) {
  const row = link.closest("tr");
  row.classList.add("loading");
  try {
    const template = document.createElement("template");
    template.innerHTML = `<table><tbody>${await fetchText(link.dataset.lines)}</tbody></table>`;
    const rows = [...template.content.querySelectorAll("tr")];
    row.replaceWith(...rows);
    rows[0]?.querySelector("a")?.focus();
  } catch {
    location.assign(link.href);
  }
}

// --- links to files and lines ---------------------------------------------------------------------------------------------

async function goTo(hash) {
  const id = hash.slice(1);
  const match = /^(f[0-9a-f]{10}(?:-\d+)?)(-[LR]\d+)?$/.exec(id);
  const file = match && document.getElementById(match[1]);
  if (!file) return;
  file.open = true;
  restoreAll(file);
  let line = document.getElementById(id);
  for (let place; !line && (place = file.querySelector(".lazy")); line = document.getElementById(id)) {
    await load(place);
    if (place.isConnected) break;
  }
  (line ?? file).scrollIntoView();
  file.querySelector("summary").focus({ preventScroll: true });
  for (const each of document.querySelectorAll(".d .at")) each.classList.remove("at");
  line?.classList.add("at"); // :target is not a line that was loaded later
}

// The file under the bars at the top of the window, or the first one below them.
function currentFile() {
  const all = files();
  return all.find((each) => each.getBoundingClientRect().bottom > 140) ?? all.at(-1);
}

function move(step) {
  const all = files();
  if (!all.length) return;
  const focused = all.indexOf(document.activeElement.closest?.("details.file"));
  const at = focused >= 0 ? focused : step > 0 ? -1 : 1;
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
  if (!viewed.has(next.dataset.digest)) next.open = true;
  next.scrollIntoView();
  next.querySelector("summary").focus({ preventScroll: true });
  history.replaceState(history.state, "", `#${next.id}`);
}

function moveHunk(step) {
  const all = files(), top = 150;
  const at = Math.max(all.indexOf(currentFile()), 0);
  const isChange = (row) => row?.matches(".a, .r") || row?.querySelector(":scope > .a, :scope > .r");
  const rows = all.slice(Math.max(at - 1, 0), at + 2).flatMap((file) => [...file.querySelectorAll(".d tr")])
    .filter((row) => isChange(row) && !isChange(row.previousElementSibling));
  const next = step > 0 ? rows.find((row) => row.getBoundingClientRect().top > top + 60)
    : rows.findLast((row) => row.getBoundingClientRect().top < top - 5);
  if (next) scrollBy({ top: next.getBoundingClientRect().top - top });
}

// --- files that were viewed: by their content, so that one that changes is shown again -------------------------------------

const VIEWED = "coatcheck viewed", MOST_VIEWED = 5000;
const viewed = new Set(JSON.parse(localStorage.getItem(VIEWED) ?? "[]"));

function showViewed() {
  const all = files();
  for (const file of all) file.querySelector("[data-viewed]").checked = viewed.has(file.dataset.digest);
  for (const file of all) if (viewed.has(file.dataset.digest)) file.open = false;
  countViewed();
}

function countViewed() {
  const all = files(), count = all.filter((each) => viewed.has(each.dataset.digest)).length;
  const place = document.getElementById("viewed");
  if (place) place.textContent = count ? ` ${count} of ${all.length} viewed.` : "";
}

function setViewed(file, isViewed) {
  const { digest } = file.dataset;
  viewed.delete(digest);
  if (isViewed) viewed.add(digest);
  localStorage.setItem(VIEWED, JSON.stringify([...viewed].slice(-MOST_VIEWED)));
  file.querySelector("[data-viewed]").checked = isViewed;
  file.open = !isViewed;
  countViewed();
}

function toggleViewed() {
  const file = document.activeElement.closest?.("details.file") ?? currentFile();
  if (!file) return;
  const isViewed = !viewed.has(file.dataset.digest);
  file.querySelector("summary").focus({ preventScroll: true });
  setViewed(file, isViewed);
  if (isViewed) move(1);
}

// --- another candidate or view, without loading the page again --------------------------------------------------------------

let shown = location.pathname + location.search;

async function swap(url, isNew) {
  const before = compare();
  before.classList.add("loading");
  try {
    const fresh = new DOMParser().parseFromString(await fetchText(url), "text/html");
    const after = fresh.querySelector(".compare");
    if (!after) throw new Error("no comparison");
    before.replaceWith(document.adoptNode(after));
    document.title = fresh.title;
    if (isNew) history.pushState(null, "", url);
    shown = location.pathname + location.search;
    observe(after);
    showViewed();
    followChecks();
    await goTo(new URL(url, location.href).hash);
  } catch {
    location.assign(url);
  }
}

function follow(link) {
  const url = new URL(link.href);
  const file = currentFile();
  if (!url.hash && file && scrollY > 0 && file.getBoundingClientRect().top < innerHeight) url.hash = file.id;
  swap(url.href, true);
}

// --- checks that are running: their cards are loaded again until they have ended --------------------------------------------

let checksTimer = 0;

async function followChecks() {
  clearTimeout(checksTimer);
  const checks = document.querySelector("#checks[data-reload]");
  if (!checks) return;
  try {
    const template = document.createElement("template");
    template.innerHTML = await fetchText(checks.dataset.reload);
    if (checks.isConnected) checks.replaceWith(template.content);
  } catch {
    // the next one may succeed
  }
  checksTimer = setTimeout(followChecks, 1000);
}

// --- events ---------------------------------------------------------------------------------------------------------------

addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a");
  const number = event.target.closest(".d .n[data-n]");
  if (link?.dataset.lines) expand(link);
  else if (link?.dataset.part) load(link.parentElement);
  else if (link?.closest("[data-swap]") && !("noSwap" in link.dataset)) follow(link);
  else if (number) location.hash = number.id || number.parentElement.id;
  else return;
  event.preventDefault();
});

const KEYS = { n: () => move(1), p: () => move(-1), j: () => moveHunk(1), k: () => moveHunk(-1), v: toggleViewed };

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !compare()) return;
  if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
  const link = document.querySelector(`[data-key-link="${CSS.escape(event.key)}"]`);
  if (KEYS[event.key]) KEYS[event.key]();
  else if (link) link.click();
  else return;
  event.preventDefault();
});

addEventListener("change", ({ target }) => "viewed" in target.dataset && setViewed(target.closest("details.file"), target.checked));
addEventListener("hashchange", () => goTo(location.hash));
addEventListener("popstate", () => compare() && shown !== location.pathname + location.search && swap(location.href, false));
addEventListener("beforeprint", () => files().forEach((each) => { each.open = true; restoreAll(each); }));

observe(document);
showViewed();
followChecks();
if (location.hash) goTo(location.hash);
