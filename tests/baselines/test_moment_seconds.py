"""The seconds that come out, for films of odd lengths and features of odd rates, worked out by hand.

Each model is made to say the same thing in its own terms, "from fraction a to fraction b of the clips": a cell of a
map, a span, a centre with a length. So whatever lies between that and an answer has to give the same seconds for all.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_phase1 import CONFIG as PHASE1
from test_phase1 import TOKENIZER

from baselines.backbones.blip2 import Blip2VideoRetriever
from baselines.interllava.phase1 import DialogueRetriever, load_phase1, save_phase1
from baselines.moment.cg_detr import CgDetr
from baselines.moment.cg_detr.model import CgDetrOutput
from baselines.moment.features import FilmFeatures, SharedFeatures, Standard
from baselines.moment.localiser import MomentSystem
from baselines.moment.methods import ENDPOINTS, METHODS, localise
from baselines.moment.mmn import Joint, Mmn
from baselines.moment.momentdiff import MomentDiff
from baselines.moment.momentdiff.model import Proposals
from baselines.moment.spans import ClipGrid
from baselines.moment.two_d_tan import TwoDTan
from baselines.moment.umt import Umt
from baselines.moment.umt.model import UmtOutput
from baselines.moment.weights import TrainedOn, save_weights
from ivcr_bench.data.dataset import Corpus
from ivcr_bench.data.features import FeatureCache
from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.schema import Request, Video

FILMS = {
    # Rows, rows a second, duration; fractions of the rows; seconds.
    # 48 rows of 0.5 s reach to 24 s: 24 / 8 = 3 and 24 / 4 = 6.
    "ends within a clip": ((48, 2.0, 23.7), (1 / 8, 1 / 4), (3.0, 6.0)),
    # 24 * 3 / 4 = 18; the last clip ends at 24 s, the film before that.
    "to its end": ((48, 2.0, 23.7), (3 / 4, 1), (18.0, 23.7)),
    # VGG features of Charades: 185 / 6 = 30.8333 s; a quarter is 7.7083, half is 15.4167.
    "a sixth of a second": ((185, 6.0, 30.96), (1 / 4, 1 / 2), (7.7083, 15.4167)),
    # C3D every 16 frames at 29.97 a second: 211 * 16 / 29.97 = 112.6460 s; 14.0807 and 28.1615.
    "sixteen frames": ((211, 29.97 / 16, 112.479), (1 / 8, 1 / 4), (14.0807, 28.1615)),
    # 30 rows of 1 s, though the film has 100 s: rows are not stretched.
    "features end early": ((30, 1.0, 100.0), (1 / 2, 1), (15.0, 30.0)),
    # 8 rows of 2 s: fewer than a map has clips.
    "few rows": ((8, 0.5, 15.1), (1 / 2, 1), (8.0, 15.1)),
    "one row": ((1, 2.0, 0.4), (0, 1), (0.0, 0.4)),
    # An hour: 3600 / 8 = 450, 3600 / 4 = 900.
    "an hour": ((3600, 1.0, 3599.5), (1 / 8, 1 / 4), (450.0, 900.0)),
}


def forced(name, config, fractions):
    """A model of the method that answers each film of a batch with the moment between its ``fractions``."""
    model = METHODS[name].build(config).eval()
    return {TwoDTan: _force_map, Mmn: _force_joint, Umt: _force_keypoints}.get(type(model), _force_spans)(
        model, torch.tensor(fractions, dtype=torch.float64)
    )


def _cell_scores(model, fractions):
    """1 at the cell that is the moment, -1 elsewhere: ``[films, cells]``."""
    cells = torch.from_numpy(model.layout.cells)
    wanted = fractions * model.config.clips - torch.tensor([0, 1])
    assert (wanted == wanted.round()).all()
    right = (cells[None] == wanted[:, None]).all(-1)
    assert (right.sum(1) == 1).all()
    return 2.0 * right - 1


def _force_map(model, fractions):
    model.forward = lambda video, words, mask: _cell_scores(model, fractions)
    return model


def _force_joint(model, fractions):
    sentence, proposals = torch.ones(len(fractions), 1), _cell_scores(model, fractions)[..., None]
    model.encode_texts = lambda words, mask: Joint(sentence, sentence)
    model.encode_films = lambda video: Joint(proposals, proposals)
    return model


def _force_keypoints(model, fractions):
    """Clips s to e, both inside: the centre is (s + e) / 2, the length less one is e - s."""

    def forward(batch):
        first, last = (fractions * batch.video_mask.sum(1, keepdim=True) - torch.tensor([0, 1])).unbind(-1)
        place = torch.arange(batch.video.shape[1])
        middle = ((first + last) / 2)[:, None]
        center = torch.where(place == middle.floor(), 5.0, -5.0)
        window = (last - first)[:, None].float().expand_as(center)
        return UmtOutput(center=center, window=window, offset=(middle - middle.floor()).float().expand_as(center))

    model.forward = forward
    return model


def _force_spans(model, fractions):
    """The third proposal of the last layer is right; all others are somewhere else, and unlikely."""
    spans = torch.full((2, len(fractions), 5, 2), 0.9)
    spans[-1, :, 2] = torch.stack((fractions.mean(1), fractions[:, 1] - fractions[:, 0]), -1).float()
    logits = torch.tensor([-3.0, 3.0]).repeat(2, len(fractions), 5, 1)
    logits[-1, :, 2] = torch.tensor([3.0, -3.0])
    if isinstance(model, MomentDiff):
        model.forward = lambda batch, noise: Proposals(logits, spans)
    else:
        assert isinstance(model, CgDetr)
        model.forward = lambda batch: CgDetrOutput(logits, spans, None, None, None)
    return model


def answers(name, examples, config=None):
    """The best moments of films, all in one batch: ``[films, 2]``."""
    method = METHODS[name]
    config = config or method.preset("mini")
    width = config.video_width - ENDPOINTS * method.endpoints
    films, words = [], []
    for (rows, rate, duration), _, _ in examples:
        films.append(FilmFeatures("film", torch.randn(rows, width), ClipGrid.at_rate(rows, rate, duration)))
        words.append(torch.randn(3, config.text_width))
    model = forced(name, config, [fractions for _, fractions, _ in examples])
    found = localise(method, model, films, words, ["a query"] * len(films))
    return np.array([rows[0, :2].tolist() for rows in found])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("film", FILMS)
def test_clips_become_seconds(name, film):
    expected = FILMS[film][2]
    np.testing.assert_allclose(answers(name, [FILMS[film]]), [expected], atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_companions_of_other_lengths_shift_nothing(name):
    np.testing.assert_allclose(
        answers(name, list(FILMS.values())), [seconds for *_, seconds in FILMS.values()], atol=1e-3
    )


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.build in (TwoDTan, Mmn)])
@pytest.mark.parametrize(("clips", "scales"), [(16, (16,)), (64, (16, 8, 8)), (128, (16, 8, 8, 8))])
def test_maps_of_all_sizes_give_the_same_seconds(name, clips, scales):
    """The maps of the authors' three data sets; 16, 64 and 128 clips share eighths of a film."""
    config = replace(METHODS[name].preset("mini"), rows=2 * clips, clips=clips, scales=scales)
    examples = list(FILMS.values())
    np.testing.assert_allclose(answers(name, examples, config), [seconds for *_, seconds in examples], atol=1e-3)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phase1")
    torch.manual_seed(0)
    save_phase1(folder, PHASE1, Blip2VideoRetriever(PHASE1.blip2), DialogueRetriever(PHASE1), TOKENIZER)
    return SharedFeatures(load_phase1(folder), FeatureCache(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("name", METHODS)
def test_from_a_video_file(name, features, tmp_path):
    """8 frames a second, 37 of them: 4.625 s, which is 5 clips of a second; 5 / 4 = 1.25 and 5 * 3 / 4 = 3.75."""
    encode_film(np.random.default_rng(0).integers(0, 256, (37, 112, 112, 3), np.uint8), tmp_path / "film.mp4")
    method = METHODS[name]
    config = method.sized(method.preset("mini"), features.video_width, features.text_width)
    video, text = torch.zeros(features.video_width), torch.zeros(features.text_width)
    trained_on, standard = TrainedOn(features.fingerprint, "last"), Standard(video, video + 1, text, text + 1)
    save_weights(tmp_path / "weights", name, method.build(config), trained_on, standard)
    system = MomentSystem(tmp_path / "weights", features)
    system.prepare(Corpus(tmp_path, (Video("film", "film.mp4", 37 / 8, "noise"),)))
    for fractions, seconds in (((1 / 4, 3 / 4), (1.25, 3.75)), ((3 / 4, 1), (3.75, 4.625))):
        system.model = forced(name, config, [fractions])
        (moments,) = system.localise([Request("d", 1, "en", "when does it fall")], ["film"])
        assert (moments[0].start, moments[0].end) == pytest.approx(seconds, abs=1e-4)
