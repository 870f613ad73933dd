"""Every step of the training once, on a dozen photos: that they fit together, not what they reach."""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from fixtures import imread
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from click.testing import CliRunner  # noqa: E402

from cropper.model.saliency import Saliency  # noqa: E402
from cropper.training import __main__ as commands  # noqa: E402
from cropper.training import data, export, restore, teacher, validation  # noqa: E402
from cropper.training.__main__ import main  # noqa: E402
from cropper.training.data import (  # noqa: E402
    EpochBatches,
    Photo,
    plain_photos,
)
from cropper.training.export import (  # noqa: E402
    BIAS_STRENGTH,
    SHARPNESS,
)
from cropper.training.exported import Exported  # noqa: E402
from cropper.training.fit import Recipe, load_checkpoint, read_sets  # noqa: E402
from cropper.training.imitate import (  # noqa: E402
    imitate_early,
    imitate_features,
)
from cropper.training.network import (  # noqa: E402
    GazeNetwork,
    Shape,
    densified,
    log_normalised,
)
from cropper.training.prune import prune_network  # noqa: E402

SAMPLES = Path(__file__).parents[2] / "sample_images"
# Height and width of an input with a quarter of the pixels of an ordinary photo's, in whole steps of 32.
SMALL = (160, 192)
# Left, top, right and bottom, as shares of the photo's sides.
FACE = (0.25, 0.2, 0.5, 0.6)


@pytest.fixture(scope="module", autouse=True)
def _small_inputs() -> Iterator[None]:
    """Have the steps look at few photos and a quarter of the pixels, and compare graphs at the ordinary shape and both extremes.

    What a step costs grows with its pixels, and what it reaches is not the matter here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "BATCH_SHAPES", {(height // 2, width // 2): p for (height, width), p in data.BATCH_SHAPES.items()})
        patch.setattr(validation, "VALIDATION_SHAPE", SMALL)
        for step in (export, restore, teacher):
            patch.setattr(step, "shape_for", lambda width, height: SMALL)
        patch.setattr(export, "SHAPES", [(96, 224), (224, 96), SMALL])
        patch.setattr(commands, "PLAIN_PHOTOS", 16)  # a batch of them
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_handler_left() -> Iterator[None]:
    """Take away what torch's loaders leave in this process: a handler for the ends of children, which wakes a supervisor."""
    number = getattr(signal, "SIGCHLD", None)  # Windows has none
    before = number and signal.getsignal(number)
    yield
    if number is not None:
        signal.signal(number, before)


def run(*arguments: object) -> None:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gaze set of a dozen windows of sample photos with one viewer's made-up fixations, and a pool of two photos."""
    root = tmp_path_factory.mktemp("training")
    (root / "set" / "images").mkdir(parents=True)
    (root / "pool").mkdir()
    rng = np.random.default_rng(0)
    photos = [imread(str(SAMPLES / name)) for name in ("cat.jpg", "astronaut.jpg", "wren.jpg")]
    with (root / "set" / "fixations.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "subject", "order", "x", "y", "duration_ms"])
        for i in range(12):
            photo = cv2.resize(photos[i % 3], (160, 120))
            cv2.imwrite(str(root / "set" / "images" / f"{i:02}.jpg"), photo)
            rows.writerows([f"{i:02}.jpg", 1, order, *rng.integers((20, 20), (140, 100)), 200] for order in range(8))
    for i in range(2):
        cv2.imwrite(str(root / "pool" / f"{i}.jpg"), cv2.resize(photos[i], (200, 150)))
    run("fit", root / "set", "--out", root / "fit", "--epochs", 1, "--scale", 0.5)
    return root


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    """The set's network as a float32 file."""
    run("export", folder / "fit" / "epoch-0.pt", folder / "whole.onnx")
    return folder / "whole.onnx"


def test_fit_writes_a_checkpoint_an_epoch_and_a_log(folder: Path) -> None:
    network, state = load_checkpoint(folder / "fit" / "epoch-0.pt")
    assert state["epoch"] == 0
    assert network.shape.sets == ("set",)
    assert "epoch 0: loss" in (folder / "fit" / "log.txt").read_text()


def test_resume_goes_on_after_the_newest_checkpoint(folder: Path) -> None:
    run("fit", folder / "set", "--out", folder / "fit", "--epochs", 1, "--scale", 0.5, "--resume")
    assert (folder / "fit" / "log.txt").read_text().count("epoch 0: loss") == 1


@pytest.fixture(scope="module")
def made_by_recipe(folder: Path) -> Path:
    """The folder of all that the recipe's trial leaves behind, with labels of masks that are made up."""
    with pytest.MonkeyPatch.context() as patch:  # the packages with the two networks are installed by hand
        heads = np.array([(FACE[0] - 0.1, FACE[1] - 0.1, FACE[2] + 0.1, FACE[3] + 0.1)], np.float32)
        patch.setattr("cropper.training.__main__.head_labeller", lambda: lambda bgr: heads)
        patch.setattr("cropper.training.__main__.subject_labeller", lambda: lambda bgr: np.full((36, 48), 200, np.uint8))
        run("recipe", folder / "set", "--pool", folder / "pool", "--out", folder / "recipe", "--trial")
    return folder / "recipe"


@pytest.fixture(scope="module")
def student(folder: Path, made_by_recipe: Path) -> Path:
    """The recipe's folder, with what the steps that it does not take make of its files, and an int8 student without masks."""
    recipe = made_by_recipe
    distilled = recipe / "distilled" / "epoch-0.pt"
    run("score", "--member", recipe / "lite0" / "epoch-0.pt", 0.5, folder / "set", "--every", 6)
    with pytest.MonkeyPatch.context() as patch:  # MTCNN's package is of an older torch, and is installed by hand
        patch.setattr("cropper.training.__main__.mtcnn", lambda: lambda bgr: np.array([FACE]))
        run("faces", recipe / "labels", "--pool", folder / "pool", "--weight", 3, "--out", recipe / "labels-faces")
    run("bias", distilled, folder / "set")
    run("export", distilled, recipe / "int8.onnx", "--int8", folder / "set")
    return recipe


def exported_density(checkpoint: Path, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the float32 graph of a checkpoint gives."""
    network, _ = load_checkpoint(checkpoint)
    with torch.no_grad():
        return Exported(network, BIAS_STRENGTH, SHARPNESS).eval()(torch.from_numpy(photo)[None])[0][0].numpy()


def test_labels_are_relative_to_an_even_density(student: Path) -> None:
    with np.load(student / "labels" / "pool.npz") as labels:
        assert sorted(labels) == ["0.jpg", "1.jpg"]
        for density in labels.values():
            assert density.astype(float).mean() == pytest.approx(1, abs=0.01)


def test_a_face_gets_as_many_times_the_density_as_asked_for_and_other_labels_stay(student: Path) -> None:
    with np.load(student / "labels" / "pool.npz") as before, np.load(student / "labels-faces" / "pool.npz") as after:
        for name, density in before.items():
            rows, columns = density.shape
            gain = after[name].astype(float) / density
            inside = gain[round(0.3 * rows) : round(0.5 * rows), round(0.33 * columns) : round(0.42 * columns)]
            far = gain[:, round(0.75 * columns) :]
            assert far.std() < 0.01 * far.mean()
            np.testing.assert_allclose(inside / far.mean(), 3, rtol=0.1)
            assert after[name].astype(float).mean() == pytest.approx(1, abs=0.01)
    assert (student / "labels-faces" / "set.npz").read_bytes() == (student / "labels" / "set.npz").read_bytes()


def test_the_students_steps_make_a_smaller_model_that_keeps_the_contract(student: Path, exported: Path) -> None:
    int8 = student / "int8.onnx"
    assert int8.stat().st_size < 0.3 * exported.stat().st_size
    photo = cv2.resize(imread(str(SAMPLES / "cat.jpg")), (384, 288)).astype(np.uint8, copy=False)
    density = Saliency(int8).density(photo)
    assert density.sum() == pytest.approx(1, abs=1e-3)
    expected = exported_density(student / "distilled" / "epoch-0.pt", photo)
    assert np.corrcoef(density.ravel(), expected.ravel())[0, 1] > 0.8
    # A log density of 256 steps would have as many values.
    assert len(np.unique(density)) > 0.9 * density.size


def test_fisher_information_finds_the_channels_that_say_nothing(folder: Path) -> None:
    network, _ = load_checkpoint(folder / "fit" / "epoch-0.pt")
    with torch.no_grad():
        network.blocks[8]._project_conv.weight[:, ::2] = 0  # every other hidden channel reaches nothing
    dead = network.blocks[8]._project_conv.in_channels / 2
    training, _ = read_sets([folder / "set"])
    recipe = Recipe(scale=0.5, batch_size=4, trunk_rate=0, head_rate=0)
    prune_network(network, training, recipe, share=0.6, rounds=1, steps=2)
    reach = network.blocks[8]._project_conv.weight.detach().abs().amax(dim=(0, 2, 3))
    assert (reach == 0).sum() < 0.1 * dead


def test_what_is_pruned_keeps_its_width_when_its_first_layers_are_made_dense(folder: Path) -> None:
    network, _ = load_checkpoint(folder / "fit" / "epoch-0.pt")
    network.keep_hidden([torch.arange(hidden // 2) for hidden in network.hidden])
    dense = densified(network)
    assert dense.hidden == (*densified(GazeNetwork(Shape())).hidden[:3], *network.hidden)


def test_kept_statistics_are_those_from_before(student: Path) -> None:
    before, _ = load_checkpoint(student / "again" / "imitation.pt")
    after, _ = load_checkpoint(student / "distilled" / "epoch-0.pt")
    for name, value in before.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(after.state_dict()[name], value, rtol=0, atol=0)
    changed = after.readout.weight != before.readout.weight
    assert changed.all()


def test_pruning_narrows_dense_blocks_too(student: Path) -> None:
    dense, _ = load_checkpoint(student / "dense" / "imitation.pt")
    pruned, _ = load_checkpoint(student / "half" / "pruned.pt")
    assert min(kept / whole for kept, whole in zip(pruned.hidden[:3], dense.hidden[:3], strict=True)) < 1
    assert pruned.stem[0].weight.shape == dense.stem[0].weight.shape


def test_a_pruned_student_learns_the_features_of_its_original(folder: Path) -> None:
    network, _ = load_checkpoint(folder / "fit" / "epoch-0.pt")
    student, _ = load_checkpoint(folder / "fit" / "epoch-0.pt")
    student.keep_hidden([torch.arange(hidden // 2) for hidden in student.hidden])
    student.frozen = 0
    training, _ = read_sets([folder / "set"])
    image = network.normalised(torch.from_numpy(np.stack([photo.bgr[:96, :128] for photo in training[:4]])))

    def unexplained() -> float:
        with torch.no_grad():
            pairs = zip(student.features(image), network.features(image), strict=True)
            return sum(float((mine - wanted).square().mean() / wanted.var()) for mine, wanted in pairs)

    before = unexplained()
    imitate_features(student, network, training, Recipe(scale=0.5, batch_size=4), steps=12)
    assert unexplained() < 0.95 * before


def test_dense_layers_learn_the_first_features_and_leave_the_others_alone(folder: Path) -> None:
    network, _ = load_checkpoint(folder / "fit" / "epoch-0.pt")
    student = densified(network)
    later = student.blocks[student.early]._expand_conv.weight.detach().clone()
    torch.testing.assert_close(later, network.blocks[network.early]._expand_conv.weight)
    training, _ = read_sets([folder / "set"])
    image = network.normalised(torch.from_numpy(np.stack([photo.bgr[:96, :128] for photo in training[:4]])))

    def unexplained() -> float:
        with torch.no_grad():
            mine, wanted = student.train().first_features(image), network.first_features(image)
            return float((mine - wanted).square().mean() / wanted.var())

    before = unexplained()
    imitate_early(student, network, training, Recipe(scale=0.5, batch_size=4), steps=12)
    assert unexplained() < 0.95 * before
    torch.testing.assert_close(student.blocks[student.early]._expand_conv.weight, later, rtol=0, atol=0)


def test_a_checkpoint_is_restored_from_the_file_it_became(folder: Path, student: Path) -> None:
    """Up to the rounding of its weights: to the density that the float32 graph gives."""
    checkpoint = student / "distilled" / "epoch-0.pt"
    run("restore", student / "int8.onnx", folder / "set", "--out", student / "restored")
    restored = student / "restored" / "restored.pt"
    assert load_checkpoint(restored)[0].shape == load_checkpoint(checkpoint)[0].shape
    photo = cv2.resize(imread(str(SAMPLES / "cat.jpg")), (384, 288)).astype(np.uint8, copy=False)
    one, other = (exported_density(path, photo).ravel() for path in (restored, checkpoint))
    assert np.corrcoef(one, other)[0, 1] > 0.97


def test_folding_the_normalisations_changes_no_density() -> None:
    torch.manual_seed(0)
    network = GazeNetwork(Shape(sets=("set",))).eval()
    for norm in (network.stem[1], network.blocks[-1]._bn2, network.mix[0]):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.uniform_(norm.running_mean, -1, 1)
        torch.nn.init.uniform_(norm.bias, -1, 1)
    image = torch.randint(0, 256, (2, 96, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = log_normalised(network.content(network.normalised(image))).exp()
        (density,) = Exported(network, bias_strength=0.0, sharpness=1.0).eval()(image)
    torch.testing.assert_close(density, expected, rtol=1e-3, atol=1e-6)


def test_coarse_photos_make_batches_of_their_own_at_a_smaller_scale() -> None:
    photos = [Photo("set", str(i), np.zeros((side * 3 // 4, side, 3), np.uint8)) for i, side in enumerate([512, 200] * 8)]
    batches = list(EpochBatches(photos, ("set",), scales=(1.0, 0.0), batch_size=4, whole=0.3, seed=0, epoch=0))
    assert len(batches) == 4
    areas = sorted(batch.image.shape[1] * batch.image.shape[2] for batch in batches)
    assert areas[1] < 0.7 * areas[2]


def test_plain_photos_show_nothing() -> None:
    for photo in plain_photos(20, seed=1):
        assert photo.teacher is not None
        assert np.ptp(photo.teacher) == 0
        assert cv2.Laplacian(cv2.GaussianBlur(photo.bgr, (0, 0), 3), cv2.CV_64F).std() < 2


def test_exported_graph_uses_no_operator_outside_the_standard_set(exported: Path) -> None:
    session = onnxruntime.InferenceSession(str(exported))
    assert [i.name for i in session.get_inputs()] == ["image"]
    import onnx

    assert {node.domain for node in onnx.load(exported).graph.node} <= {"", "ai.onnx"}


def test_the_recipe_makes_a_model_with_all_maps_and_goes_on_where_it_stopped(folder: Path, made_by_recipe: Path) -> None:
    photo = cv2.resize(imread(str(SAMPLES / "cat.jpg")), (384, 288)).astype(np.uint8, copy=False)
    maps = Saliency(made_by_recipe / "student.onnx").maps(photo)
    assert maps.density.sum() == pytest.approx(1, abs=1e-3)
    assert maps.subject is not None
    assert maps.head is not None
    assert maps.subject.mean() > maps.head.mean() > 0
    before = len((made_by_recipe / "log.txt").read_text())
    (made_by_recipe / "student.onnx").unlink()
    run("recipe", folder / "set", "--pool", folder / "pool", "--out", made_by_recipe, "--trial")
    # This process logs to the same file once for each run.
    done = {line.split(", ")[1] for line in (made_by_recipe / "log.txt").read_text()[before:].splitlines() if ": done in" in line}
    assert {stage.split(":")[0] for stage in done} == {"export"}
    assert (made_by_recipe / "student.onnx").exists()


def test_a_model_with_masks_is_restored_with_them(folder: Path, made_by_recipe: Path) -> None:
    run("restore", made_by_recipe / "student.onnx", folder / "set", "--out", folder / "restored-masks")
    network, _ = load_checkpoint(folder / "restored-masks" / "restored.pt")
    assert network.shape.masks
    photo = cv2.resize(imread(str(SAMPLES / "cat.jpg")), (384, 288)).astype(np.uint8, copy=False)
    with torch.no_grad():
        _, subject, head = Exported(network, BIAS_STRENGTH, SHARPNESS).eval()(torch.from_numpy(photo)[None])
    maps = Saliency(made_by_recipe / "student.onnx").maps(photo)
    for given, expected in ((maps.subject, subject), (maps.head, head)):
        assert given is not None
        assert np.abs(given - expected[0].numpy()).max() < 0.1
