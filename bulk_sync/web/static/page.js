// The only script: everything works without it, by loading the page again.
"use strict";

// Times in the reader's own zone, which is named.
const named = new Intl.DateTimeFormat([], {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
function localize(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const at = new Date(each.dateTime);
    if (!isNaN(at)) each.textContent = named.format(at);
  }
}
localize(document);

// Live progress: <div data-live="/runs/ID/events"> is filled by events; a screen reader hears the
// short status now and then. At the end the page is loaded again: it shows the true state. A browser
// asks again by itself, but not after an error of the server, which may pass.
function live(place) {
  const status = document.getElementById(place.dataset.status);
  const source = new EventSource(place.dataset.live);
  source.addEventListener("progress", event => {
    place.innerHTML = event.data;
    localize(place);
  });
  source.addEventListener("status", event => { if (status) status.textContent = event.data; });
  source.addEventListener("end", () => { source.close(); location.reload(); });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(live, 30000, place);
  });
}
document.querySelectorAll("[data-live]").forEach(live);

// Opt-ins: a page of rows counts as seen once each row was on the screen; the server keeps it, and
// its answer says whether any are left. The next page follows before this one is at its end.
const approval = document.getElementById("approve");
if (approval && "unseen" in approval.dataset) approval.disabled = true;
function watch(list) {
  for (const confirm of list.querySelectorAll("[data-confirm]")) confirm.hidden = true;
  const left = new Set(list.querySelectorAll("tbody tr"));
  let isFirst = true;
  const observer = new IntersectionObserver(entries => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && left.delete(target)) observer.unobserve(target);
    }
    if (isFirst && left.size < list.querySelectorAll("tbody tr").length) {
      isFirst = false;
      follow(list);
    }
    if (left.size === 0) {
      observer.disconnect();
      if (!("noted" in list.dataset)) note(list);
    }
  }, { rootMargin: "-8px 0px" });
  for (const row of left) observer.observe(row);
}
async function loaded(address, options) {
  const answer = await fetch(address, options).catch(() => null);
  return answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}
async function follow(list) {
  const number = Number(list.dataset.page) + 1;
  if (number > Number(list.dataset.pages)) return;
  const next = (await loaded(`${location.pathname}?page=${number}`))?.querySelector("[data-seen]");
  if (!next || document.querySelector(`[data-page="${next.dataset.page}"]`)) return;
  list.parentElement.querySelector(":scope > nav")?.remove();
  list.after(next);
  watch(next);
}
async function note(list) {
  const shown = await loaded(list.dataset.seen, {
    method: "POST", body: new URLSearchParams({ page: list.dataset.page }) });
  for (const confirm of list.querySelectorAll("[data-confirm]")) confirm.hidden = shown !== null;
  const status = document.getElementById("why-not"), next = shown?.getElementById("approve");
  if (shown && approval) approval.disabled = !next || next.disabled || "unseen" in next.dataset;
  if (shown && status) status.replaceChildren(...shown.getElementById("why-not")?.childNodes ?? []);
}
const first = document.querySelector("[data-seen]");
if (first) watch(first);

// Uploads: how much has been sent; the answer is shown as if the browser had sent the form.
function show(html) {
  const shown = new DOMParser().parseFromString(html, "text/html");
  document.title = shown.title;
  document.body.replaceWith(shown.body);
  prepare(document.querySelector("form[data-upload]"));
  document.querySelector("[autofocus]")?.focus();
}
function prepare(form) {
  if (!form) return;
  const file = form.elements.file, error = form.querySelector("#file-error");
  file.addEventListener("change", () => {
    const isTooLarge = file.files[0]?.size > Number(file.dataset.most);
    error.textContent = isTooLarge ? file.dataset.tooLarge : "";
    error.hidden = !isTooLarge;
    file.setCustomValidity(error.textContent);
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    const sent = form.querySelector("[data-sent]"), bar = sent.firstElementChild;
    const status = form.querySelector("[data-status]"), button = form.querySelector("button");
    const request = new XMLHttpRequest();
    const failed = text => { sent.hidden = true; button.disabled = false; status.textContent = text; };
    request.upload.addEventListener("progress", event => {
      bar.value = event.lengthComputable ? 100 * event.loaded / event.total : null;
    });
    request.upload.addEventListener("load", () => { status.textContent = "Sent. The file is being checked."; });
    request.addEventListener("error", () => failed("The file could not be sent. Look at the connection, and try again."));
    request.addEventListener("load", () => {
      if (request.status === 200) location.assign(request.responseURL);
      else show(request.responseText);
    });
    request.open("POST", form.action);
    request.send(new FormData(form));
    sent.hidden = false;
    button.disabled = true;
    status.textContent = "The file is being sent.";
  });
}
prepare(document.querySelector("form[data-upload]"));
