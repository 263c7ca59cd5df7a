"use strict";
// The page asks the service that it came from, and nobody else.
const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const words = (name) => name === "none" ? "no defect" : name.replaceAll("_", " ");
const SHOWN = 768, FRAMED = 0.5;
let last = null, turn = 0;

// A dot's area is the probability: read by its size, so that colours of picture and eye do not matter.
function dot(pen, x, y, across, share) {
  const radius = 0.46 * across * Math.sqrt(share);
  if (radius < 1) return;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = "rgba(254, 232, 56, .8)"; pen.fill();
  pen.lineWidth = 2; pen.strokeStyle = "#00224e"; pen.stroke();
}

function drawLegend() {
  for (const canvas of document.querySelectorAll("#legend canvas")) {
    const side = canvas.width = canvas.height = 96;
    dot(canvas.getContext("2d"), side / 2, side / 2, side, Number(canvas.dataset.share));
  }
}

function drawPicture(bitmap) {
  const canvas = at("picture"), larger = Math.max(bitmap.width, bitmap.height), by = Math.min(1, SHOWN / larger);
  canvas.width = Math.max(1, Math.round(by * bitmap.width));
  canvas.height = Math.max(1, Math.round(by * bitmap.height));
  canvas.classList.toggle("tiny", larger < 200);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
}

function drawMap(rows) {
  const canvas = at("map"), picture = at("picture"), pen = canvas.getContext("2d");
  const by = Math.max(1, SHOWN / Math.max(picture.width, picture.height));
  canvas.width = Math.round(by * picture.width);
  canvas.height = Math.round(by * picture.height);
  canvas.hidden = !at("over").checked || !rows.length;
  if (!rows.length) return;
  const h = canvas.height / rows.length, w = canvas.width / rows[0].length;
  rows.forEach((row, y) => row.forEach((share, x) => dot(pen, (x + 0.5) * w, (y + 0.5) * h, Math.min(w, h), share)));
  rows.forEach((row, y) => row.forEach((share, x) => {
    if (share < FRAMED) return;
    for (const [style, width] of [["#000", 7], ["#fff", 3]]) { // seen on dark and on light
      pen.strokeStyle = style; pen.lineWidth = width;
      pen.strokeRect(x * w + 4, y * h + 4, w - 8, h - 8);
    }
  }));
}

function where(rows) {
  const cells = rows.flatMap((row, y) => row.map((share, x) => ({ share, x, y }))).sort((a, b) => b.share - a.share);
  if (!cells.length) return "This net has no map.";
  const many = cells.filter((cell) => cell.share >= FRAMED).length;
  const most = `row ${cells[0].y + 1} of ${rows.length}, column ${cells[0].x + 1} of ${rows[0].length} (${percent(cells[0].share)})`;
  return many ? `${many} of ${cells.length} cells likely show a defect; most so ${most}.` : `No cell likely shows a defect; nearest to it ${most}.`;
}

function row(name, share, first) {
  const line = document.createElement("tr"), head = document.createElement("th"), middle = document.createElement("td"), number = document.createElement("td"), bar = document.createElement("div");
  line.className = first ? "first" : "";
  head.scope = "row"; head.textContent = words(name);
  middle.className = "bars"; bar.className = "bar"; bar.style.width = percent(share); middle.append(bar);
  number.textContent = percent(share);
  line.append(head, middle, number);
  return line;
}

function show(found, took) {
  last = found;
  at("verdict").textContent = words(found.class);
  at("sentence").textContent = `with a confidence of ${percent(found.confidence)}`;
  const sorted = Object.entries(found.probabilities).sort((a, b) => b[1] - a[1]);
  at("classes").replaceChildren(...sorted.map(([name, share], k) => row(name, share, k === 0)));
  at("where").textContent = where(found.map || []);
  at("took").textContent = `answered in ${took.toFixed(1)} ms, the way there and back included`;
  drawMap(found.map || []);
  at("answer").hidden = false;
}

function complain(sentence) {
  at("problem").textContent = sentence;
  at("problem").hidden = false;
  at("answer").hidden = true;
  at("map").hidden = true;
}

async function inspect(file) {
  const mine = ++turn;
  at("problem").hidden = true;
  try {
    const bitmap = await createImageBitmap(file).catch(() => null);
    if (mine !== turn) return;
    if (bitmap) { drawPicture(bitmap); at("map").hidden = true; at("shown").hidden = false; at("drop").classList.add("small"); } else { at("shown").hidden = true; }
    const began = performance.now();
    const answer = await fetch("/v1/inspect", { method: "POST", body: file, headers: { "content-type": file.type || "image/png" } });
    const said = await answer.json(), took = performance.now() - began;
    if (mine !== turn) return; // another picture came meanwhile
    answer.ok ? show(said, took) : complain(said.error);
  } catch {
    if (mine === turn) complain("The service does not answer. Is it still running?");
  }
}

async function look() {
  try {
    const [ready, model] = await Promise.all([fetch("/readyz"), fetch("/v1/model").then((r) => r.json())]);
    at("state").textContent = ready.ok ? "ready" : (await ready.json()).error;
    at("about").textContent = `Model ${model.source}, pipeline ${model.pipeline}, target ${model.target}, input ${model.input_shape.slice(1).join(" × ")} pixels, source ${model.source_sha256.slice(0, 12)}`;
  } catch {
    at("state").textContent = "not reachable";
  }
}

function take(files) {
  const pictures = [...files];
  if (pictures.length) inspect(pictures[0]);
}

at("file").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
at("over").addEventListener("change", () => { if (last) drawMap(last.map || []); });
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData.files));
drawLegend();
look();
setInterval(look, 5000);
