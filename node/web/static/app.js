// What htmx does not reach: pages that renew themselves, drafts that outlive a lost connection, a few keys.
// Everything here is a help; without it every page reads and works the same.

const EXPIRES_MS = 7 * 24 * 3600 * 1000;
const DRAFT = "liandong-draft:";
const root = document.documentElement;

// ---- live: the server says that something changed, the page asks for its own new state ----

let asking = false;
let again = false;
let renewed = 0;
let rests = 0;

// A page that is dear to make says with data-rest how many seconds it rests between two of its states.
function rest() {
  return Number(document.querySelector("[data-rest]")?.dataset.rest ?? 0) * 1000;
}

async function renew() {
  if (document.hidden) { again = true; return; }
  const early = renewed + rest() - Date.now();
  if (early > 0) { clearTimeout(rests); rests = setTimeout(renew, early); return; }
  if (asking) { again = true; return; }
  asking = true;
  again = false;
  renewed = Date.now();
  try {
    // As htmx asks for a piece: the message that waits for the next page must not go to this one.
    const headers = { "Accept": "text/html", "HX-Request": "true" };
    const reply = await fetch(location.href, { headers, credentials: "same-origin" });
    if (reply.ok && !reply.redirected) swap(new DOMParser().parseFromString(await reply.text(), "text/html"));
  } catch {
    // Not reachable now; the stream tells again when it is.
  } finally {
    asking = false;
    if (again && !document.hidden) setTimeout(renew, 1000);
  }
}

function swap(fresh) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(old.id);
    if (!now || now.innerHTML === old.innerHTML || holdsTyping(old)) continue;
    const open = [...old.querySelectorAll("details[open][id]")].map((item) => item.id);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(now);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus();
    if (now.dataset.live === "shown") now.classList.add("fresh");
    globalThis.htmx?.process(now);
    if (now.id === "trail") showNow();
  }
}

function showNow() {
  for (const trail of document.querySelectorAll("#trail .scroll")) trail.scrollLeft = trail.scrollWidth;
}

function holdsTyping(element) {
  return element.contains(document.activeElement) && /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
}

function listen() {
  if (!root.hasAttribute("data-events") || !globalThis.EventSource) return;
  const stream = new EventSource("/events");
  let lost = false;
  stream.addEventListener("change", renew);
  stream.addEventListener("open", () => { if (lost) renew(); lost = false; root.removeAttribute("data-offline"); });
  stream.addEventListener("error", () => { lost = true; root.setAttribute("data-offline", ""); });
  addEventListener("pagehide", () => stream.close());
  document.addEventListener("visibilitychange", () => { if (!document.hidden && again) renew(); });
}

// ---- drafts: what was typed stays in this browser until it was sent; never passwords, never who raised a matter ----

function draftKey(form) {
  return DRAFT + root.dataset.who + ":" + form.dataset.draft;
}

function kept(form) {
  return [...form.elements].filter((field) => field.name && !field.closest("[data-private]")
    && !["hidden", "password", "file", "submit", "button"].includes(field.type));
}

function save(form) {
  const values = kept(form).map((field) => [field.name, /^(checkbox|radio)$/.test(field.type) ? field.checked : field.value]);
  try {
    localStorage.setItem(draftKey(form), JSON.stringify({ at: Date.now(), values }));
    form.dataset.kept = "";
  } catch {
    // No room, or not allowed: the form works without.
  }
}

function restore(form) {
  let draft;
  try { draft = JSON.parse(localStorage.getItem(draftKey(form))); } catch { return; }
  if (!draft || Date.now() - draft.at > EXPIRES_MS) return;
  const fields = kept(form);
  let changed = false;
  draft.values.forEach(([name, value], index) => {
    const field = fields[index];
    if (!field || field.name !== name) return;
    if (typeof value === "boolean") { changed ||= field.checked !== value; field.checked = value; }
    else if (value && !field.value) { field.value = value; changed = true; }
  });
  const told = form.querySelector("[data-draft-note]");
  if (changed && told) told.hidden = false;
}

function forget(key) {
  try { localStorage.removeItem(key); } catch { /* as above */ }
}

function drafts() {
  for (const form of document.querySelectorAll("form[data-draft]")) {
    if (!form.hasAttribute("data-filled")) restore(form);
    let timer;
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => save(form), 400); });
    form.querySelector("[data-draft-drop]")?.addEventListener("click", () => {
      forget(draftKey(form));
      form.reset();
      form.querySelector("[data-draft-note]").hidden = true;
    });
  }
  const done = document.querySelector("[data-draft-done]")?.dataset.draftDone;
  if (done) forget(DRAFT + root.dataset.who + ":" + done);
  document.querySelector("form[data-sign-out]")?.addEventListener("submit", () => {
    for (const key of Object.keys(localStorage)) if (key.startsWith(DRAFT)) forget(key);
  });
}

// ---- keys: "/" searches; letters with Alt come from accesskey itself ----

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "")) return;
  const find = document.getElementById("find");
  if (find) { event.preventDefault(); find.focus(); find.select(); }
});

// ---- a form is sent once, however often its button is pressed; its own key makes that safe besides ----

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});

// ---- a long import says how far it is, while the browser waits for the page that follows ----

async function watch(form) {
  const shown = form.querySelector("[data-progress]");
  const bar = shown.querySelector("progress");
  const address = `/import/progress?watch=${encodeURIComponent(form.elements.watch.value)}`;
  shown.hidden = false;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    try {
      const { share } = await (await fetch(address, { credentials: "same-origin" })).json();
      if (share !== null) bar.value = share;
    } catch {
      // The next look tells more.
    }
  }
}

for (const form of document.querySelectorAll("[data-upload]")) form.addEventListener("submit", () => watch(form));

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// Paper is light: a picture drawn for a dark screen is turned round there, for another one would come too late.
addEventListener("beforeprint", () => {
  for (const picture of document.querySelectorAll("img.chart")) {
    picture.classList.toggle("drawn-dark", picture.currentSrc.includes("theme=dark"));
  }
});

document.querySelector("[data-focus-first]")?.focus();
drafts();
const menu = document.querySelector(".menu");
const here = menu?.querySelector("[aria-current]");
if (here) menu.scrollLeft = here.offsetLeft + here.offsetWidth / 2 - menu.clientWidth / 2;

showNow();
listen();

// ---- pickers: what htmx brings are buttons; pressing one fills the field, or adds a place to those chosen ----

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-value]");
  if (!button) return;
  const fills = button.closest("[data-fills]");
  if (fills) {
    const field = document.getElementById(fills.dataset.fills);
    field.value = button.dataset.value;
    fills.replaceChildren();
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    return;
  }
  const adds = button.closest("[data-adds]");
  if (adds) addChoice(adds.dataset.adds, button.dataset.value, button.dataset.label);
});

function addChoice(name, value, label) {
  const chosen = document.querySelector(`[data-chosen="${name}"]`);
  const known = [...chosen.querySelectorAll("input")].find((box) => box.value === value);
  if (known) { known.checked = true; known.focus(); return; }
  const box = Object.assign(document.createElement("input"), { type: "checkbox", name, value, checked: true });
  const code = Object.assign(document.createElement("span"), { className: "code quiet", textContent: value });
  const choice = Object.assign(document.createElement("label"), { className: "choice" });
  choice.append(box, ` ${label} `, code);
  chosen.append(choice);
  const typed = document.getElementById(`${name}-text`);
  if (typed) typed.value = "";
  document.getElementById(`${name}-found`)?.replaceChildren();
  box.focus();
}
