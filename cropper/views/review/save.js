// Saving: the page of `cropper review --serve` sends your changes to that command, which makes the thumbnails again.

const AT_ONCE = 20; // photos in one request, so that you see thumbnails soon and a request stays small
let saves = null; // what is being saved: how many photos, and how many of them are done; null for nothing

const changedPhotos = () => photos.filter((photo) => photo.r.some((row) => now(photo, row).edited || isGood(photo, row)));

// Returns the rows that a change gives: a name, a size or "" for all, and a box, a point, or nothing to take back what you gave.
function rowsToSave(photo) {
  const { f, b, a } = memory.edits[photo.i] || {};
  const boxes = photo.r.flatMap((row) => {
    const box = b?.[row.s] || (isGood(photo, row) && row.b);
    return box ? [[photo.i, row.s, ...box]] : [];
  });
  if (a) return [[photo.i, "", null, null, null, null]];
  return f ? [[photo.i, "", ...f, null, null], ...boxes] : boxes;
}

function showSaves() {
  const number = data.saves ? changedPhotos().length : 0;
  at("save").disabled = !number || Boolean(saves);
  at("save").textContent = saves ? `Saving ${saves.done} of ${saves.all}` : `Save${number ? ` (${number})` : ""}`;
}

async function saveChanges() {
  const waiting = changedPhotos();
  if (saves) return;
  if (!waiting.length) {
    say("There is nothing to save yet. Move a box or mark a photo good first.");
    return;
  }
  saves = { done: 0, all: waiting.length };
  showSaves();
  at("saved-list").replaceChildren();
  let done = 0, failed = 0, problem = "", kept = "";
  while (waiting.length && !problem) {
    const some = waiting.splice(0, AT_ONCE);
    // What you change while the request is under way is not saved yet.
    const sent = new Map(some.map((photo) => [photo.i, JSON.stringify(memory.edits[photo.i])]));
    let answer;
    try {
      answer = await send(some.flatMap(rowsToSave));
    } catch (error) {
      answer = { error: error.message };
    }
    problem = answer.error || "";
    kept ||= answer.kept || "";
    for (const one of answer.photos || []) {
      if (one.error) failed += 1;
      else done += 1;
      take(one, sent.get(one.i));
    }
    saves.done += some.length;
    showSaves();
  }
  saves = null;
  const failures = failed ? ` ${count(failed, "photo")} failed.` : "";
  const title = problem ? "Not saved" : kept ? "Kept, but not made yet" : `Saved ${count(done, "photo")}.${failures}`;
  at("saved-title").textContent = title;
  at("saved-problem").textContent = problem || kept;
  at("saved").hidden = false;
  say(title);
  if (photo) { // its tiles show the new rows
    const before = chosen;
    open(shown.indexOf(photo), "");
    chosen = Math.min(before, photo.r.length - 1);
    draw();
  } else filter();
  showTotals();
}

async function send(rows) {
  let answer;
  try {
    answer = await fetch("save", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(rows) });
  } catch {
    throw new Error("cropper review does not answer. Your changes stay on this page: run the command again and reload, or export focus.csv.");
  }
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

// Shows what became of a photo. A photo that failed keeps your change, so that you can save it again.
function take(one, sent) {
  const saved = photos.find((photo) => photo.i === one.i);
  if (one.photo) {
    for (const key of Object.keys(saved)) delete saved[key];
    Object.assign(saved, one.photo);
  }
  if (!one.error && JSON.stringify(memory.edits[one.i]) === sent) delete memory.edits[one.i];
  save();
  const item = element("li", "saved-photo");
  item.append(element("span", "name", printable(saved.p)));
  if (one.error) item.append(element("span", "failed", one.error));
  for (const { size, at: place, n: [width, height] } of one.thumbnails || []) {
    const figure = element("span", "saved-thumbnail"), picture = image(place);
    picture.alt = `New thumbnail, ${size}`;
    picture.width = width;
    picture.height = height;
    figure.append(picture, element("span", "quiet", size));
    item.append(figure);
  }
  at("saved-list").append(item);
}

at("saved-close").addEventListener("click", () => {
  at("saved").hidden = true;
  (photo ? at("photo") : at("save")).focus({ preventScroll: true });
});
at("save").addEventListener("click", saveChanges);
at("save").hidden = !data.saves;
if (data.saves) document.body.classList.add("saves");
if (data.saves === false) {
  const words = "This page cannot save: cropper does not know with which options the thumbnails were made. Export focus.csv and apply it with this command:";
  at("cannot-save").replaceChildren(words, element("pre", "", data.command));
  at("cannot-save").hidden = false;
}
