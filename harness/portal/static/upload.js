// Uploads that go on after a broken line: the file's sha256 says which upload it is, the server how far it came.

import { Sha256 } from "./sha256.js";

const READ_BYTES = 4 * 1024 * 1024;
const WAITS_SECONDS = [1, 2, 4, 8, 15, 30];

const form = document.getElementById("upload");
if (form) prepare();

function prepare() {
  const file = document.getElementById("file");
  const drop = document.getElementById("drop");
  file.addEventListener("change", () => choose(file.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    choose(event.dataTransfer.files[0]);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.chosen) send(form.chosen).catch((error) => end(error.message || String(error), error.answer));
  });
}

function choose(file) {
  form.chosen = file || null;
  const words = file ? `${file.name}, ${megabytes(file.size)}` : "No file is chosen.";
  document.getElementById("chosen").textContent = words;
  document.getElementById("send").disabled = !file;
  document.getElementById("findings").replaceChildren();
}

async function send(file) {
  document.getElementById("send").disabled = true;
  document.getElementById("going").hidden = false;
  document.getElementById("findings").replaceChildren();
  const sha256 = await hashed(file);
  let upload = await ask("POST", form.dataset.to, { name: file.name, size_bytes: file.size, sha256 });
  const place = `${form.dataset.to}/${upload.upload}`;
  let failures = 0;
  while (upload.offset < file.size) {
    show(`Sending: ${megabytes(upload.offset)} of ${megabytes(file.size)}`, upload.offset / file.size);
    try {
      upload = await part(place, file, upload);
      failures = 0;
    } catch (error) {
      if (error.answer && error.answer.error.offset !== null) {
        upload = { ...upload, offset: error.answer.error.offset };
      } else if (error.answer && error.status < 500 && ![408, 409, 429].includes(error.status)) {
        throw error;
      } else {
        const seconds = WAITS_SECONDS[Math.min(failures, WAITS_SECONDS.length - 1)];
        failures += 1;
        show(`The line broke: going on in ${seconds} s`, upload.offset / file.size);
        await new Promise((done) => { window.setTimeout(done, seconds * 1000); });
        upload = await ask("GET", place).catch((again) => { if (again.answer) throw again; return upload; });
      }
    }
  }
  show("Checking the package", 1);
  const none = document.getElementById("no-data");
  const done = await ask("POST", `${place}/finish`, { no_external_data: Boolean(none && none.checked) });
  window.location.assign(form.dataset.done + done.entry.entry);
}

async function hashed(file) {
  const digest = new Sha256();
  for (let at = 0; at < file.size; at += READ_BYTES) {
    show(`Reading: ${megabytes(at)} of ${megabytes(file.size)}`, at / file.size);
    digest.update(new Uint8Array(await file.slice(at, at + READ_BYTES).arrayBuffer()));
  }
  return digest.hex();
}

// Not fetch: it does not say how much of a body is sent.
function part(place, file, upload) {
  const body = file.slice(upload.offset, upload.offset + upload.chunk_bytes);
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", place);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.setRequestHeader("upload-offset", String(upload.offset));
    request.setRequestHeader("x-csrf-token", document.body.dataset.csrf);
    request.upload.onprogress = (event) => {
      const there = upload.offset + event.loaded;
      show(`Sending: ${megabytes(there)} of ${megabytes(file.size)}`, there / file.size);
    };
    request.onerror = () => failed(new Error("the line broke"));
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status === 200 && answer) done(answer);
      else failed(problem(request.status, answer));
    };
    request.send(body);
  });
}

async function ask(method, place, body) {
  const headers = { "x-csrf-token": document.body.dataset.csrf };
  if (body) headers["content-type"] = "application/json";
  const answer = await fetch(place, { method, headers, body: body && JSON.stringify(body) });
  const document_ = parsed(await answer.text());
  if (!answer.ok) throw problem(answer.status, document_);
  return document_;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function problem(status, answer) {
  const found = answer && answer.error ? answer.error : null;
  const error = new Error(found ? found.message : `the portal answered ${status}`);
  error.status = status;
  error.answer = found ? answer : null;
  return error;
}

function show(words, share) {
  document.getElementById("step").textContent = words;
  document.getElementById("progress").value = share;
}

function end(words, answer) {
  document.getElementById("going").hidden = true;
  document.getElementById("send").disabled = false;
  const list = document.getElementById("findings");
  const remedy = answer && answer.error && answer.error.remedy;
  list.replaceChildren(paragraph(words, "notice"));
  if (remedy) list.append(paragraph(remedy, "muted"));
  const findings = (answer && answer.check && answer.check.findings) || [];
  for (const one of findings) {
    const item = document.createElement("div");
    item.className = `finding ${["error", "warning", "note"].includes(one.severity) ? one.severity : ""}`;
    item.append(paragraph(`${one.code} ${one.place ? `${one.place}: ` : ""}${one.message}`));
    if (one.remedy) item.append(paragraph(one.remedy, "muted"));
    list.append(item);
  }
}

function paragraph(text, kind) {
  const found = document.createElement("p");
  found.textContent = text;
  if (kind) found.className = kind;
  return found;
}

function megabytes(count) {
  return count < 1e6 ? `${Math.ceil(count / 1e3)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}
