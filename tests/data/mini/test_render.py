import hashlib
from itertools import product

import av
import numpy as np
import pytest

from ivcr_bench.data.mini.actors import COLOUR_RGB, DIAMETER, draw_actor
from ivcr_bench.data.mini.encode import encode_film
from ivcr_bench.data.mini.films import sample_films
from ivcr_bench.data.mini.motion import EDGE, tracks
from ivcr_bench.data.mini.render import render_frames
from ivcr_bench.data.mini.world import (
    ACTIONS,
    COLOURS,
    FRAME_SIZE,
    FRAMES_PER_SECOND,
    PAIR_ACTIONS,
    SETTINGS,
    SHAPES,
    Actor,
    Film,
    Shot,
)
from ivcr_bench.errors import IvcrError

SIZES = ("small", "big")


def shot_of(action, sizes, seconds=12.0, setting="city", colours=("red", "yellow")):
    actors = tuple(
        Actor(colour, shape, size) for colour, shape, size in zip(colours, ("circle", "square"), sizes, strict=False)
    )
    return Shot(0.0, seconds, setting, action, actors)


def film_of(shot, seed=5):
    return Film("film-00001", shot.setting, "dance", seed, (shot,))


def some_tracks(action, sizes, count=20):
    shot = shot_of(action, sizes)
    diameters = [DIAMETER[size] for size in sizes]
    return [(diameters, tracks(shot, diameters, np.random.default_rng(seed))) for seed in range(count)]


@pytest.fixture(scope="module")
def film():
    return min(sample_films(0, "mini")["test"], key=lambda film: film.duration)


@pytest.fixture(scope="module")
def frames(film):
    return np.stack(list(render_frames(film)))


def test_frames_of_one_film_are_frozen(film, frames):
    assert film.video_id == "film-00499"
    assert hashlib.sha256(frames.tobytes()).hexdigest()[:16] == "3dc0bde459dcb3c1"


def test_frames_have_the_promised_shape_and_number(film, frames):
    assert frames.dtype == np.uint8
    assert frames.shape == (film.duration * FRAMES_PER_SECOND, FRAME_SIZE, FRAME_SIZE, 3)


def test_another_seed_gives_other_frames_of_the_same_shots(film, frames):
    other = Film(film.video_id, film.setting, film.genre, film.seed + 1, film.shots)
    first = next(render_frames(other)).astype(int)
    assert np.abs(first - frames[0]).mean() > 5


def test_settings_differ_more_between_than_within():
    def look(setting, seed):
        shot = Shot(0.0, 0.5, setting, "blink", (Actor("red", "circle", "small"),))
        frame = next(render_frames(film_of(shot, seed))).astype(float)
        return np.concatenate([frame[:40].mean(axis=(0, 1)), frame[72:].mean(axis=(0, 1))])

    looks = {setting: np.array([look(setting, seed) for seed in range(6)]) for setting in SETTINGS}
    centres = np.array([looks[setting].mean(axis=0) for setting in SETTINGS])
    for index, setting in enumerate(SETTINGS):
        distances = np.linalg.norm(looks[setting][:, None] - centres, axis=-1)
        assert (distances.argmin(axis=1) == index).all()


def test_colours_are_the_nearest_to_what_is_drawn():
    named = np.array([COLOUR_RGB[colour] for colour in COLOURS])
    for index, colour in enumerate(COLOURS):
        frame = np.full((FRAME_SIZE, FRAME_SIZE, 3), 120, np.uint8)
        draw_actor(frame, "square", COLOUR_RGB[colour], 34, 50.0, 50.0)
        body = frame[44:56, 44:56].reshape(-1, 3).mean(axis=0)
        assert np.linalg.norm(named - body, axis=1).argmin() == index


def test_shapes_are_as_large_as_their_size_says_and_unlike_each_other():
    masks = {}
    for shape, size in product(SHAPES, SIZES):
        frame = np.full((FRAME_SIZE, FRAME_SIZE, 3), 120, np.uint8)
        draw_actor(frame, shape, (250, 250, 250), DIAMETER[size], 56.0, 56.0)
        mask = np.abs(frame.astype(int) - 120).max(axis=2) > 40
        width = np.ptp(np.nonzero(mask.any(axis=0))[0]) + 1
        assert 0.85 * DIAMETER[size] <= width <= 1.15 * DIAMETER[size] + 1
        masks[shape, size] = mask
    for one, other in product(SHAPES, SHAPES):
        if one != other:
            common = (masks[one, "big"] & masks[other, "big"]).sum() / (masks[one, "big"] | masks[other, "big"]).sum()
            assert common < 0.9


CASTS = [
    (action, sizes)
    for action in ACTIONS
    for sizes in (*product(SIZES), *product(SIZES, SIZES))
    if len(sizes) == 2 or action not in PAIR_ACTIONS
]


@pytest.mark.parametrize(("action", "sizes"), CASTS)
def test_actors_stay_within_the_frame(action, sizes):
    for diameters, moving in some_tracks(action, sizes):
        for diameter, track in zip(diameters, moving, strict=True):
            half = diameter * track.scale / 2
            for place in (track.x, track.y):
                assert (place - half >= EDGE - 1.7).all()
                assert (place + half <= FRAME_SIZE - EDGE + 1.7).all()


def test_orbit_turns_round_the_second_actor_in_about_four_seconds():
    for _, (circler, centre) in some_tracks("orbit", ("small", "big")):
        x, y = circler.x - centre.x, circler.y - centre.y
        radius = np.hypot(x, y)
        assert np.ptp(radius) < 3
        turned = np.unwrap(np.arctan2(y, x))
        turns = abs(turned[-1] - turned[0]) / (2 * np.pi)
        assert (x.size - 1) / FRAMES_PER_SECOND / turns == pytest.approx(4, abs=0.6)
        assert max(np.ptp(centre.x), np.ptp(centre.y)) < 2


def test_chase_repeats_the_path_of_the_fugitive_about_a_second_later():
    for _, (pursuer, fugitive) in some_tracks("chase", ("small", "small")):
        lags = range(3, 14)
        misses = [
            np.hypot(pursuer.x[lag:] - fugitive.x[:-lag], pursuer.y[lag:] - fugitive.y[:-lag]).mean() for lag in lags
        ]
        lag = lags[int(np.argmin(misses))] / FRAMES_PER_SECOND
        assert min(misses) < 3
        assert 0.5 <= lag <= 1.25
        assert np.ptp(fugitive.x) > 50
        assert np.ptp(fugitive.y) > 50


def test_bounce_goes_up_and_down_from_one_floor_under_gravity():
    for _, (ball,) in some_tracks("bounce", ("small",)):
        acceleration = np.diff(ball.y, 2)
        flying = acceleration > 0
        assert 0.75 < flying.mean() < 0.95
        assert np.ptp(acceleration[flying][1:-1]) < np.median(acceleration[flying]) * 4
        assert (np.diff(ball.y) < -1).mean() > 0.25
        assert np.ptp(ball.y) > 35


def test_fall_only_ever_goes_down_and_starts_again_elsewhere():
    for _, (stone,) in some_tracks("fall", ("small",)):
        step = np.diff(stone.y)
        again = step < -50
        assert 4 <= again.sum() <= 6
        assert (step[~again] >= 0).all()
        assert np.abs(np.diff(stone.x)[again]).min() > 10
        assert (np.diff(stone.x)[~again] == 0).all()


def test_blink_is_seen_about_half_of_the_time_in_turns_of_about_a_second():
    shares = []
    for _, (ghost,) in some_tracks("blink", ("small",)):
        changes = np.nonzero(np.diff(ghost.seen.astype(int)))[0]
        assert (np.diff(changes) >= 6).all()
        assert (np.diff(changes) <= 10).all()
        assert np.ptp(ghost.x) == 0
        shares.append(ghost.seen.mean())
    assert np.mean(shares) == pytest.approx(0.5, abs=0.05)


def test_grow_swells_to_three_times_its_smallest_size():
    for _, (actor,) in some_tracks("grow", ("big",)):
        assert actor.scale.min() == pytest.approx(0.6, abs=0.05)
        assert actor.scale.max() == pytest.approx(1.8, abs=0.05)
        assert np.abs(np.diff(actor.scale)).max() < 0.12


@pytest.mark.parametrize("action", ["bounce", "fall", "blink", "grow"])
def test_a_bystander_is_never_covered(action):
    for sizes in product(SIZES, SIZES):
        for diameters, (actor, other) in some_tracks(action, sizes):
            apart = np.abs(actor.x - other.x)
            assert (apart >= (diameters[0] * actor.scale + diameters[1]) / 2 - 1).all()
            assert max(np.ptp(other.x), np.ptp(other.y)) < 2


def test_what_is_seen_circles_as_the_track_says():
    # The red circle's measured centroid must go round the yellow square's: pixels, not tracks.
    def centroid(frame, near):
        rows, columns = np.nonzero(np.abs(frame.astype(int) - near).sum(axis=2) < 90)
        return columns.mean(), rows.mean()

    frames = list(render_frames(film_of(shot_of("orbit", ("small", "small"), seconds=5.0))))
    red = np.array([centroid(frame, COLOUR_RGB["red"]) for frame in frames])
    yellow = np.array([centroid(frame, COLOUR_RGB["yellow"]) for frame in frames])
    x, y = (red - yellow).T
    assert np.ptp(np.hypot(x, y)) < 6
    turned = np.unwrap(np.arctan2(y, x))
    assert abs(turned[-1] - turned[0]) > 2 * np.pi


def test_a_film_is_encoded_whole_and_looks_as_it_was_drawn(film, frames, tmp_path):
    path = tmp_path / "film.mp4"
    encode_film(iter(frames), path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", FRAMES_PER_SECOND)
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == len(frames)
    error = np.abs(np.stack(decoded[::20]).astype(int) - frames[::20])
    assert error.mean() < 6
    assert [entry.name for entry in tmp_path.iterdir()] == ["film.mp4"]


def test_encoding_twice_gives_the_same_bytes(frames, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        encode_film(iter(frames[:40]), tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_failure_while_drawing_leaves_the_old_film(frames, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")

    def broken():
        yield frames[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        encode_film(broken(), path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_one_clear_error(frames, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IvcrError, match=r"film\.mp4: cannot write"):
        encode_film(iter(frames[:2]), tmp_path / "file" / "film.mp4")
