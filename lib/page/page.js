// One photograph: sent, its plates shown and edited, the concealed picture shown and saved.
// What can be saved always has exactly the plates that are shown: while it has not, there is nothing to save.

import { Outlines } from "./plates.js";

const $ = (id) => document.getElementById(id);
const MODES = {
  fill: ["One colour", "Nothing of the plate is left. The safe choice."],
  blur: ["Blur", "For looks: a little of the plate is left in it."],
  pixelate: ["Mosaic", "For looks: a little of the plate is left in it."],
};
const METHODS = {
  segment: ["Its pixels", "A network marks every pixel that is plate."],
  detect: ["Box and corners", "A network finds a box, another its four corners."],
};
const WAIT = 250; // milliseconds without another change before a picture is asked for

let able = null; // what the service can do
let photograph = null; // the chosen File
let size = null; // its width and height, upright
let asked = null; // ends the request under way
let timer = 0;

const outlines = new Outlines($("outlines"), { changed, chose: mark });

function say(words) {
  $("status").textContent = words;
}

function fail(words) {
  $("words").textContent = words;
  $("error").hidden = !words;
  $("again").hidden = !photograph;
  if (words) say("");
}

function many(count) {
  return count === 1 ? "1 plate" : `${count} plates`;
}

// Sends the photograph with options; the answer, or an Error whose message is a sentence for people.
async function send(options, accept) {
  asked?.abort();
  asked = new AbortController();
  const form = new FormData();
  form.set("file", photograph, "photograph");
  for (const [name, value] of Object.entries(options)) form.set(name, value);
  const headers = { Accept: accept };
  if ($("token").value) headers.Authorization = `Bearer ${$("token").value}`;
  let answer;
  try {
    answer = await fetch("conceal", { method: "POST", body: form, headers, signal: asked.signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service cannot be reached, or ended the connection; check that it runs and try again.");
  }
  if (answer.ok) return answer;
  const told = await answer.json().then((body) => body.error?.replace(/\bframe\b/g, "photograph"), () => null);
  throw new Error(told ? told[0].toUpperCase() + told.slice(1) : `The service answered ${answer.status} without a reason.`);
}

// Runs a request; what ends it is shown unless a newer one took its place.
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    $("result").setAttribute("aria-busy", "false");
    fail(error.message);
  }
}

function forget() {
  const old = $("download").getAttribute("href");
  if (old) URL.revokeObjectURL(old);
  $("download").removeAttribute("href");
  $("download").setAttribute("aria-disabled", "true");
  $("result").setAttribute("aria-busy", "true");
}

// Asks where the plates are. What somebody added by hand stays.
async function find() {
  if (!photograph) return;
  clearTimeout(timer);
  forget();
  fail("");
  say("Looking for plates …");
  const kept = outlines.plates.filter((plate) => plate.by === "hand");
  const asking = photograph;
  await attempt(async () => {
    const options = { method: $("method").value, threshold: $("threshold").value };
    const told = await (await send(options, "application/json")).json();
    if (asking !== photograph) return;
    size = [told.width, told.height];
    const found = told.plates.map((corners) => ({ corners, by: "found" }));
    $("pictures").hidden = false;
    $("drop").classList.add("small");
    outlines.show(...size, [...found, ...kept]);
    listPlates();
    const also = kept.length ? `, and ${many(kept.length)} added by hand` : "";
    say(found.length ? `${many(found.length)} found${also}. Look whether that is all.` : `No plate was found${also}.`);
    await conceal();
  });
}

// Asks for the picture with exactly the plates that are shown.
async function conceal() {
  forget();
  if (!outlines.plates.length) {
    asked?.abort();
    $("result").setAttribute("aria-busy", "false");
    $("concealed").hidden = true;
    $("nothing").hidden = false;
    $("nothing").textContent =
      "Nothing is concealed, so there is nothing to download. If you see a plate, add it by hand, or raise the threshold.";
    return;
  }
  await attempt(async () => {
    const plates = JSON.stringify(outlines.plates.map((plate) => plate.corners.map((at) => at.map((x) => Math.round(100 * x) / 100))));
    const answer = await send({ mode: $("mode").value, plates }, "image/*");
    const blob = await answer.blob();
    fail("");
    const address = URL.createObjectURL(blob);
    $("concealed").src = address;
    $("concealed").alt = `The photograph with ${many(outlines.plates.length)} concealed`;
    $("concealed").hidden = false;
    $("nothing").hidden = true;
    $("download").href = address;
    $("download").download = `${photograph.name.replace(/\.[^.]*$/, "") || "photograph"}-concealed.${blob.type.slice(6).replace("jpeg", "jpg")}`;
    $("download").setAttribute("aria-disabled", "false");
    $("result").setAttribute("aria-busy", "false");
  });
}

// Plates were added, moved or removed by hand.
function changed() {
  forget();
  asked?.abort();
  listPlates();
  clearTimeout(timer);
  timer = setTimeout(conceal, WAIT);
}

function mark(plate) {
  for (const [index, item] of [...$("list").children].entries()) {
    item.classList.toggle("chosen", outlines.plates[index] === plate);
  }
}

function listPlates() {
  const count = outlines.plates.length;
  $("count").textContent = count ? many(count) : "No plate";
  if ($("list").children.length === count && [...$("list").children].every((item, at) => item.plate === outlines.plates[at])) return;
  $("list").replaceChildren(...outlines.plates.map((plate, index) => {
    const item = document.createElement("li");
    item.plate = plate;
    const name = document.createElement("span");
    name.textContent = `${index + 1} · ${plate.by === "hand" ? "by hand" : "found"}`;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Remove";
    button.setAttribute("aria-label", `Remove plate ${index + 1}`);
    button.addEventListener("click", () => {
      outlines.remove(plate);
      say(`Plate ${index + 1} removed; ${many(outlines.plates.length)} left.`);
      const next = $("list").querySelectorAll("button")[Math.min(index, outlines.plates.length - 1)];
      (next ?? $("add")).focus();
    });
    item.append(name, button);
    return item;
  }));
  mark(outlines.chosen);
}

function choose(file) {
  if (!file) return;
  if (able && file.size > able.limits.bytes) {
    fail(`The photograph has ${(file.size / 2 ** 20).toFixed(1)} MiB, the limit is ${able.limits.bytes / 2 ** 20}; save it smaller.`);
    return;
  }
  clearTimeout(timer);
  asked?.abort();
  forget();
  photograph = file;
  size = null;
  if ($("original").src) URL.revokeObjectURL($("original").src);
  $("original").src = URL.createObjectURL(file);
  $("pictures").hidden = true;
  $("concealed").hidden = true;
  $("concealed").removeAttribute("src");
  outlines.show(1, 1, []);
  find();
}

function fill(select, names, known) {
  select.replaceChildren(...names.map((name) => new Option(known[name]?.[0] ?? name, name)));
}

function explain() {
  $("mode-hint").textContent = MODES[$("mode").value]?.[1] ?? "";
  $("method-hint").textContent = METHODS[$("method").value]?.[1] ?? "";
  const own = Number($("threshold").value) === able.methods[$("method").value].threshold;
  $("threshold-value").textContent = `${Number($("threshold").value).toFixed(2)}${own ? " (the network's own)" : ""}`;
}

async function start() {
  try {
    able = await (await fetch("health")).json();
  } catch {
    fail("The service cannot be reached; check that it runs and load this page again.");
    return;
  }
  fill($("mode"), able.modes, MODES);
  fill($("method"), Object.keys(able.methods), METHODS);
  $("threshold").value = able.methods[$("method").value].threshold;
  $("most").textContent = `, at most ${able.limits.bytes / 2 ** 20} MiB and ${able.limits.pixels / 1e6} megapixels`;
  $("token-row").hidden = !able.token;
  explain();
  document.body.dataset.ready = "yes";
}

$("file").addEventListener("change", () => choose($("file").files[0]));
$("file").addEventListener("click", () => { $("file").value = ""; }); // the same one may be chosen again
$("mode").addEventListener("change", () => { explain(); if (photograph && size) conceal(); });
$("method").addEventListener("change", () => {
  $("threshold").value = able.methods[$("method").value].threshold;
  explain();
  find();
});
$("threshold").addEventListener("input", explain);
$("threshold").addEventListener("change", find);
$("token").addEventListener("change", find);
$("options").addEventListener("submit", (event) => { event.preventDefault(); find(); });
$("again").addEventListener("click", () => (size ? conceal() : find()));
$("add").addEventListener("click", () => outlines.add());
for (const kind of ["dragenter", "dragover"]) {
  window.addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
window.addEventListener("drop", (event) => {
  event.preventDefault(); // elsewhere, the browser would leave the page and open the photograph
  $("drop").classList.remove("over");
  choose(event.dataTransfer.files[0]);
});
start();
