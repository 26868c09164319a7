// Times in the reader's zone, and questions before what cannot be undone. Following a page is htmx's.

function localTimes(root) {
  const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const one of root.querySelectorAll("time[datetime]:not([title])")) {
    const moment = new Date(one.getAttribute("datetime"));
    if (!Number.isNaN(moment.getTime())) {
      one.title = one.textContent;
      one.textContent = shown.format(moment);
    }
  }
}

function localZone(root) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const one of root.querySelectorAll("[data-zone]")) one.textContent = `your own time zone, ${zone}`;
}

document.addEventListener("submit", (event) => {
  const words = event.target.dataset.confirm;
  if (words && !window.confirm(words)) event.preventDefault();
});
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target));
localTimes(document);
localZone(document);
