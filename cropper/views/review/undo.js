// Undo and redo: what each change replaced, in all photos.

const past = [], future = [];
const MOST_STEPS = 1000;
const SAME_STEP = 800; // milliseconds: keys that repeat as fast as this are one step

const snapshot = (photo) => structuredClone({ edit: memory.edits[photo.i], mark: memory.marks[photo.i] });

// Keeps a photo as it is before a change. Changes of one kind are one step: of one drag, or of a key that repeats.
function remember(photo, kind) {
  const last = past.at(-1), time = performance.now();
  const isSame = kind !== undefined && last?.photo === photo && last.kind === kind && !future.length;
  if (isSame && (typeof kind === "object" || time - last.time < SAME_STEP)) {
    last.time = time;
    return;
  }
  past.push({ photo, kind, time, before: snapshot(photo) });
  if (past.length > MOST_STEPS) past.shift();
  future.length = 0;
}

function restore(photo, { edit: oldEdit, mark: oldMark }) {
  if (oldEdit) memory.edits[photo.i] = oldEdit;
  else delete memory.edits[photo.i];
  if (oldMark) memory.marks[photo.i] = oldMark;
  else delete memory.marks[photo.i];
  save();
}

// Goes one step from a pile to the other, and shows the photo that it changes.
function goBack(from, to, words, nothing) {
  const step = from.pop();
  if (!step) {
    say(nothing);
    return;
  }
  to.push({ photo: step.photo, before: snapshot(step.photo) });
  restore(step.photo, step.before);
  showTotals();
  showChanged(step.photo);
  say(`${words}: ${nameOf(step.photo)}`);
}

const undo = () => goBack(past, future, "Undone", "There is nothing to undo.");
const redo = () => goBack(future, past, "Redone", "There is nothing to redo.");

// Shows a photo that changed, wherever the page is: in the editor, or as a card in the list.
function showChanged(changed) {
  if (!photo) {
    filter();
    const number = shown.indexOf(changed);
    if (number >= 0) list.goTo(number);
  } else if (photo === changed || !shown.includes(changed)) {
    draw();
  } else {
    open(shown.indexOf(changed), "replace");
  }
}
