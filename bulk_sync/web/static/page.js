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
// short status now and then. At the end the page is loaded again: it shows the true state.
for (const place of document.querySelectorAll("[data-live]")) {
  const status = document.getElementById(place.dataset.status);
  const source = new EventSource(place.dataset.live);
  source.addEventListener("progress", event => {
    place.innerHTML = event.data;
    localize(place);
  });
  source.addEventListener("status", event => { if (status) status.textContent = event.data; });
  source.addEventListener("end", () => { source.close(); location.reload(); });
}
