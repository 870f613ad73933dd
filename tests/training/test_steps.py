"""Every step of the training once, on a dozen photos: that they fit together, not what they reach."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from click.testing import CliRunner  # noqa: E402

from cropper.saliency import Saliency  # noqa: E402
from cropper.training import fit as fitting  # noqa: E402
from cropper.training.__main__ import main  # noqa: E402
from cropper.training.data import EpochBatches, Photo, plain_photos  # noqa: E402
from cropper.training.network import Exported, GazeNetwork, Shape, log_normalised  # noqa: E402
from cropper.training.stem import imitate, lightened, stemmed  # noqa: E402

SAMPLES = Path(__file__).parents[2] / "sample_images"


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
    photos = [cv2.imread(str(SAMPLES / name)) for name in ("cat.jpg", "astronaut.jpg", "wren.jpg")]
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


def test_fit_writes_a_checkpoint_an_epoch_and_a_log(folder: Path) -> None:
    network, state = fitting.load(folder / "fit" / "epoch-0.pt")
    assert state["epoch"] == 0
    assert network.shape.sets == ("set",)
    assert "epoch 0: loss" in (folder / "fit" / "log.txt").read_text()


def test_resume_goes_on_after_the_newest_checkpoint(folder: Path) -> None:
    run("fit", folder / "set", "--out", folder / "fit", "--epochs", 1, "--scale", 0.5, "--resume")
    assert (folder / "fit" / "log.txt").read_text().count("epoch 0: loss") == 1


def test_the_students_steps_make_a_smaller_model_that_keeps_the_contract(folder: Path) -> None:
    checkpoint = folder / "fit" / "epoch-0.pt"
    members = ["--member", checkpoint, 0.5, "--member", checkpoint, 0.75]
    run("label", *members, "--set", folder / "set", "--pool", folder / "pool", "--out", folder / "labels")
    with np.load(folder / "labels" / "pool.npz") as labels:
        assert sorted(labels) == ["0.jpg", "1.jpg"]
        for density in labels.values():
            assert density.astype(float).mean() == pytest.approx(1, abs=0.01)  # relative to an even density
    run("score", *members, folder / "set", "--every", 6)
    run("stem", checkpoint, folder / "set", "--out", folder / "stem", "--steps", 2, "--scale", 0.5)
    options = ["--share", 0.5, "--rounds", 1, "--steps", 1, "--scale", 0.5]
    run("prune", folder / "stem" / "stem.pt", folder / "set", "--out", folder / "pruned", *options)
    run(
        "imitate", folder / "pruned/pruned.pt", checkpoint, folder / "set", "--out", folder / "like", "--steps", 3, "--scale", 0.5
    )
    data = [folder / "set", "--pool", folder / "pool", "--labels", folder / "labels"]
    run("distil", folder / "like" / "imitation.pt", *data, "--out", folder / "student", "--epochs", 1, "--scale", 0.5)
    distilled = folder / "student" / "epoch-0.pt"
    run("bias", distilled, folder / "set")
    run("export", checkpoint, folder / "whole.onnx")
    run("export", distilled, folder / "pruned.onnx")
    run("export", distilled, folder / "int8.onnx", "--int8", folder / "set")
    whole, pruned, int8 = (folder / f"{name}.onnx" for name in ("whole", "pruned", "int8"))
    assert pruned.stat().st_size < 0.75 * whole.stat().st_size
    assert int8.stat().st_size < 0.4 * pruned.stat().st_size
    photo = cv2.imread(str(SAMPLES / "cat.jpg"))
    density = Saliency(int8).density(photo)
    assert density.sum() == pytest.approx(1, abs=1e-3)
    assert np.corrcoef(density.ravel(), Saliency(pruned).density(photo).ravel())[0, 1] > 0.8


def test_fisher_information_finds_the_channels_that_say_nothing(folder: Path) -> None:
    from cropper.training.network import keep_hidden
    from cropper.training.prune import prune

    network, _ = fitting.load(folder / "fit" / "epoch-0.pt")
    block = network.blocks[8]
    with torch.no_grad():
        block._project_conv.weight[:, ::2] = 0  # every other hidden channel reaches nothing
    dead = set(range(0, block._project_conv.in_channels, 2))
    kept: list[torch.Tensor] = []
    training, _ = fitting.read_sets([folder / "set"])
    original = keep_hidden
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cropper.training.prune.keep_hidden", lambda b, c: (kept.append(c), original(b, c)))
        prune(network, training, fitting.Recipe(scale=0.5, trunk_rate=0, head_rate=0), share=0.6, rounds=1, steps=1)
    assert len(set(kept[8].tolist()) & dead) < 0.1 * len(dead)


@pytest.mark.parametrize("light", [False, True])
def test_folding_the_normalisations_changes_no_density(light: bool) -> None:
    torch.manual_seed(0)
    network = GazeNetwork(Shape(sets=("set",), light=light)).eval()
    for norm in (network.mix[0], network.narrow[0]) if light else (network.mix[0],):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
        torch.nn.init.uniform_(norm.running_mean, -1, 1)
        torch.nn.init.uniform_(norm.bias, -1, 1)
    image = torch.randint(0, 256, (2, 96, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = log_normalised(network.content(network.normalised(image))).exp()
        density = Exported(network, bias_strength=0.0, sharpness=1.0).eval()(image)
    torch.testing.assert_close(density, expected, rtol=1e-3, atol=1e-6)


def test_a_stem_learns_to_imitate_the_trunks_own(folder: Path) -> None:
    network, _ = fitting.load(folder / "fit" / "epoch-0.pt")
    training, _ = fitting.read_sets([folder / "set"])
    recipe = fitting.Recipe(scale=0.5, batch_size=4)

    def unexplained(light: GazeNetwork) -> float:
        image = torch.from_numpy(np.stack([training[0].bgr[:96, :128], training[1].bgr[:96, :128]]))
        with torch.no_grad():
            wanted = torch.nn.Sequential(network.stem, *network.blocks[: -len(light.blocks)])(network.normalised(image))
            features = light.eval().stem(light.normalised(image))
        return float((features - wanted).square().mean() / wanted.var())

    torch.manual_seed(0)
    untrained = unexplained(lightened(network))
    torch.manual_seed(0)
    assert unexplained(stemmed(network, training, recipe, steps=30)) < 0.9 * untrained


def test_a_light_student_learns_the_features_of_its_original(folder: Path) -> None:
    network, _ = fitting.load(folder / "fit" / "epoch-0.pt")
    training, _ = fitting.read_sets([folder / "set"])
    image = torch.from_numpy(np.stack([photo.bgr[:96, :128] for photo in training[:4]]))

    def unexplained(light: GazeNetwork) -> list[float]:
        with torch.no_grad():  # in training mode: so few steps do not move the statistics far
            pairs = zip(light.train().features(light.normalised(image)), network.features(network.normalised(image)), strict=True)
            return [float((mine - wanted).square().mean() / wanted.var()) for mine, wanted in pairs]

    torch.manual_seed(0)
    student = lightened(network)
    untrained = unexplained(student)
    imitate(student, network, training, fitting.Recipe(scale=0.5, batch_size=4), steps=12)
    assert sum(unexplained(student)) < 0.95 * sum(untrained)


def test_coarse_photos_make_batches_of_their_own_at_a_smaller_scale() -> None:
    photos = [Photo("set", str(i), np.zeros((side * 3 // 4, side, 3), np.uint8)) for i, side in enumerate([512, 200] * 8)]
    batches = list(EpochBatches(photos, ("set",), scale=1.0, batch_size=4, whole=0.3, seed=0, epoch=0))
    assert len(batches) == 4
    areas = sorted(batch.image.shape[1] * batch.image.shape[2] for batch in batches)
    assert areas[1] < 0.7 * areas[2]


def test_plain_photos_show_nothing() -> None:
    for photo in plain_photos(20, seed=1):
        assert photo.teacher is not None
        assert np.ptp(photo.teacher) == 0
        assert cv2.Laplacian(cv2.GaussianBlur(photo.bgr, (0, 0), 3), cv2.CV_64F).std() < 2


def test_exported_graph_uses_no_operator_outside_the_standard_set(folder: Path) -> None:
    run("export", folder / "fit" / "epoch-0.pt", folder / "standard.onnx")
    session = onnxruntime.InferenceSession(str(folder / "standard.onnx"))
    assert [i.name for i in session.get_inputs()] == ["image"]
    import onnx

    assert {node.domain for node in onnx.load(folder / "standard.onnx").graph.node} <= {"", "ai.onnx"}
