// Times in the reader's zone, questions before what cannot be undone, and parts of a page that follow events.

function localTimes(root) {
  const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  for (const one of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(one.getAttribute("datetime"));
    if (!Number.isNaN(moment.getTime())) {
      one.title = one.textContent;
      one.textContent = shown.format(moment);
    }
  }
}

function questions() {
  document.addEventListener("submit", (event) => {
    const words = event.target.dataset.confirm;
    if (words && !window.confirm(words)) event.preventDefault();
  });
}

// The server renders; a part that has changed is put in place of the one that is there.
async function renew() {
  const answer = await fetch(window.location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-part]")) {
    const fresh = page.getElementById(old.id);
    if (!fresh) continue;
    localTimes(fresh);
    if (fresh.innerHTML !== old.innerHTML && !old.contains(document.activeElement)) {
      old.replaceWith(document.adoptNode(fresh));
    }
  }
}

function follow(address) {
  const source = new EventSource(address);
  let first = true;
  let planned = false;
  const changed = () => {
    if (planned) return;
    planned = true;
    // Not everybody at once: a thousand watchers hear of a change in the same moment.
    window.setTimeout(async () => {
      planned = false;
      await renew().catch(() => {});
    }, 100 + Math.random() * 500);
  };
  source.addEventListener("entry", changed);
  source.addEventListener("board", () => {
    if (!first) changed();
    first = false;
  });
  source.onerror = () => {
    first = false; // what happened while the line was down is not told again
  };
}

localTimes(document);
questions();
if (document.body.dataset.live) follow(document.body.dataset.live);
