"""Films are encoded here; the number of each frame is drawn into it, so that a test can read which frame it got."""

import math
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from ivcr_bench.data import timeline, video
from ivcr_bench.data.video import probe, sample_numbers, sample_rate, sample_uniform
from ivcr_bench.errors import IvcrError

BITS = 8
SIZE = (64, 48)


def picture(number: int, width: int, height: int) -> np.ndarray:
    """A frame that shows ``number`` in binary, as dark and light columns, over a moving ramp."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 1] = (np.arange(width) * 2 + number * 5) % 64
    for bit in range(BITS):
        column = slice(bit * width // BITS, (bit + 1) * width // BITS)
        image[:, column, 0] = 220 if number >> bit & 1 else 30
    return image


def number_of(image: np.ndarray) -> int:
    width = image.shape[1]
    columns = [image[:, bit * width // BITS : (bit + 1) * width // BITS, 0] for bit in range(BITS)]
    return sum(1 << bit for bit, column in enumerate(columns) if np.median(column) > 125)


def numbers(frames: video.Frames) -> list[int]:
    return [number_of(image) for image in frames.images]


def encode(
    path: Path,
    pts=range(60),
    *,
    rate=10,
    codec="libx264",
    size=SIZE,
    images=None,
    pix_fmt="yuv420p",
    container_options=None,
    audio=0.0,
    **options,
) -> Path:
    """A film of ``images`` (else of numbered pictures) that start at ``pts`` ticks of ``1 / rate`` seconds.

    ``audio`` is how many seconds of silence it has besides.
    """
    images = images or [picture(number, *size) for number in range(len(pts))]
    with av.open(path, "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options={key: str(value) for key, value in options.items()})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, rate)
        sound = container.add_stream("aac", rate=8000, layout="mono") if audio else None
        for image, tick in zip(images, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            mux_silence(container, sound, audio)
    return path


def mux_silence(container, stream, seconds: float) -> None:
    for start in range(0, int(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def decode_through(path: Path) -> np.ndarray:
    reformatter = av.video.reformatter.VideoReformatter()
    with av.open(path) as container:
        return np.stack(
            [reformatter.reformat(f, format="rgb24", threads=1).to_ndarray() for f in container.decode(video=0)]
        )


LAYOUTS = {
    "one-gop.mp4": {"g": 250, "bf": 3},
    "short-gops.mp4": {"g": 12, "bf": 3, "b_strategy": 0, "sc_threshold": 0},
    "all-keys.mp4": {"g": 1},
    "open-gop.mp4": {"g": 12, "bf": 3, "b_strategy": 0, "x264-params": "open-gop=1"},
    "pyramid.mkv": {"g": 15, "bf": 4, "b_strategy": 0, "b-pyramid": "normal"},
    "intra-refresh.mkv": {"g": 20, "intra-refresh": 1, "bf": 0},
    "broadcast.ts": {"g": 12, "bf": 2},
    "x264.avi": {"g": 12, "bf": 2, "b_strategy": 0},
    "xvid.avi": {"codec": "mpeg4", "g": 12, "bf": 2, "b_strategy": 0, "q": 2, "qmin": 2, "qmax": 3},
    "vp8.webm": {"codec": "libvpx", "g": 15, "auto-alt-ref": 1, "lag-in-frames": 10, "b": "2M", "deadline": "realtime"},
    "vp9.webm": {"codec": "libvpx-vp9", "g": 15, "auto-alt-ref": 1, "lag-in-frames": 10, "deadline": "realtime"},
}


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name, options in LAYOUTS.items():
        encode(folder / name, **{"crf": 20, "preset": "fast"} | options)
    return folder


@pytest.mark.parametrize("kept", [1 << 30, 0], ids=["in-memory", "seeking"])
@pytest.mark.parametrize("jump", [0, 10**9], ids=["jumping", "through"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_jumping_and_decoding_through_give_the_same_frames(films, name, jump, kept, monkeypatch):
    monkeypatch.setattr(video, "_KEPT_BYTES", kept)
    monkeypatch.setattr(timeline, "_JUMP_PACKETS", jump)
    path = films / name
    everything = decode_through(path)
    assert [number_of(image) for image in everything] == list(range(60))

    every = sample_rate(path, 10)
    assert np.array_equal(every.images, everything)
    assert every.times == pytest.approx(np.arange(60) / 10, abs=0.0011)  # Matroska rounds to milliseconds
    for n in (1, 2, 5, 7, 13, 60):
        expected = [math.floor((i + 0.5) / n * 60) for i in range(n)]
        assert np.array_equal(sample_uniform(path, n).images, everything[expected]), n


@pytest.mark.parametrize("name", LAYOUTS)
def test_probe_measures_the_film(films, name):
    info = probe(films / name)
    assert (info.frames, info.width, info.height) == (60, *SIZE)
    assert info.duration == pytest.approx(6.0, abs=0.001)
    assert info.rate == pytest.approx(10.0, rel=0.001)


def test_few_samples_of_a_long_film_decode_little_of_it(tmp_path, monkeypatch):
    # 200 frames in groups of 10; the middles of 4 parts are frames 25, 75, 125, 175: each is packet 5 of its
    # group (no B-frames), so 6 packets lead to it, and a few more that the decoder holds back.
    path = encode(tmp_path / "long.mp4", range(200), g=10, bf=0, sc_threshold=0)
    fed = []
    packets_from = video._Film._packets_from

    def counted(film, start):
        for packet in packets_from(film, start):
            fed.append(packet)
            yield packet

    monkeypatch.setattr(video._Film, "_packets_from", counted)
    for kept in (1 << 30, 0):
        monkeypatch.setattr(video, "_KEPT_BYTES", kept)
        fed.clear()
        assert numbers(sample_uniform(path, 4)) == [25, 75, 125, 175]
        assert 4 * 6 <= len(fed) <= 4 * 12


def test_rate_takes_the_frame_on_screen_half_a_step_in(tmp_path):
    # 8 frames a second for 2 s, sampled twice a second: at 0.25, 0.75, 1.25 and 1.75 s, where frames 2, 6, 10
    # and 14 have just come on (2 / 8 = 0.25).
    path = encode(tmp_path / "film.mp4", range(16), rate=8)
    frames = sample_rate(path, 2)
    assert numbers(frames) == [2, 6, 10, 14]
    assert frames.times.tolist() == [0.25, 0.75, 1.25, 1.75]
    assert frames.images.dtype == np.uint8
    assert frames.times.dtype == np.float64


def test_a_part_of_a_step_at_the_end_counts_as_a_step(tmp_path):
    # 17 frames at 8 a second last 2.125 s; ceil(2.125 * 2) = 5 samples, the fifth at 2.25 s, past the end.
    path = encode(tmp_path / "film.mp4", range(17), rate=8)
    assert numbers(sample_rate(path, 2)) == [2, 6, 10, 14, 16]


def test_more_samples_than_frames_repeat_frames_to_the_last(tmp_path):
    # 3 frames, 7 samples at (i + 0.5) * 3 / 7 = 0.21, 0.64, 1.07, 1.5, 1.93, 2.36, 2.79 frames.
    path = encode(tmp_path / "film.mp4", range(3))
    frames = sample_uniform(path, 7)
    assert numbers(frames) == [0, 0, 1, 1, 1, 2, 2]
    assert frames.times == pytest.approx([0, 0, 0.1, 0.1, 0.1, 0.2, 0.2])


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.avi"])
def test_frames_by_number_wherever_in_time_they_lie(tmp_path, name):
    stamps = range(6) if name.endswith("avi") else [0, 1, 2, 20, 21, 40]
    path = encode(tmp_path / name, stamps, bf=0)
    frames = sample_numbers(path, lambda total: [0, 3, total - 2, total - 1, total - 1])
    assert numbers(frames) == [0, 3, 4, 5, 5]
    assert frames.times == pytest.approx([stamps[number] / 10 for number in (0, 3, 4, 5, 5)])


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
@pytest.mark.parametrize("bf", [0, 3])
def test_a_variable_frame_rate_is_followed_by_time(tmp_path, name, bf):
    # Frames start at 0, 0.1, 0.2, 2.0, 2.1 and 4.0 s. The clock at 0.25, 0.75 .. 1.75 s shows frame 2, at 2.25 to
    # 3.75 frame 4, then frame 5. No container knows for sure how long the last frame stays.
    path = encode(tmp_path / name, [0, 1, 2, 20, 21, 40], bf=bf, b_strategy=0)
    info = probe(path)
    assert info.frames == 6
    assert 4.0 < info.duration <= 6.0
    frames = sample_rate(path, 2)
    assert numbers(frames)[:9] == [2, 2, 2, 2, 4, 4, 4, 4, 5]
    assert frames.times[:9] == pytest.approx([0.2] * 4 + [2.1] * 4 + [4.0])


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
def test_time_starts_with_the_first_frame(tmp_path, name):
    path = encode(tmp_path / name, range(70, 100), g=10, bf=2)
    assert probe(path).duration == pytest.approx(3.0, abs=0.001)
    frames = sample_uniform(path, 3)
    assert numbers(frames) == [5, 15, 25]
    assert frames.times == pytest.approx([0.5, 1.5, 2.5])


@pytest.mark.parametrize("size", [(61, 35), (97, 1), (16, 90)])
def test_odd_sizes(tmp_path, size):
    path = encode(tmp_path / "odd.mkv", range(5), size=size, codec="ffv1", pix_fmt="bgr0")
    frames = sample_rate(path, 10)
    assert frames.images.shape == (5, size[1], size[0], 3)
    for number, image in enumerate(frames.images):  # FFV1 is lossless
        assert np.array_equal(image, picture(number, *size))


def test_size_is_width_then_height(films):
    frames = sample_uniform(films / "one-gop.mp4", 5, size=(35, 21))
    assert frames.images.shape == (5, 21, 35, 3)
    assert numbers(frames) == [6, 18, 30, 42, 54]


# ISO/IEC 14496-12, 8.3.2: the matrix of a track as 16.16 fixed point, the last column as 2.30.
TRACK_MATRIX = {
    90: (0, 1, 0, -1, 0, 0, 0, 0, 1 << 14),
    180: (-1, 0, 0, 0, -1, 0, 0, 0, 1 << 14),
    270: (0, -1, 0, 1, 0, 0, 0, 0, 1 << 14),
}


@pytest.mark.parametrize("clockwise", TRACK_MATRIX)
def test_a_film_that_a_phone_stored_turned_is_shown_upright(tmp_path, clockwise):
    upright = [picture(number, *SIZE) for number in range(5)]
    stored = [np.ascontiguousarray(np.rot90(image, clockwise // 90)) for image in upright]  # against the clock
    path = encode(tmp_path / "phone.mp4", range(5), images=stored, pix_fmt="yuv444p", crf=10)
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", *(value << 16 for value in TRACK_MATRIX[clockwise]))
    path.write_bytes(data)

    info = probe(path)
    assert (info.width, info.height) == SIZE
    frames = sample_rate(path, 10)
    assert numbers(frames) == [0, 1, 2, 3, 4]
    assert np.abs(frames.images.astype(int) - np.stack(upright)).mean() < 6
    assert sample_rate(path, 10, size=(32, 16)).images.shape == (5, 16, 32, 3)


def test_a_packet_without_a_picture_leaves_the_one_before_on_screen(films, tmp_path):
    # VP8 frames have a "show" bit (RFC 6386, 9.1: bit 4 of the first byte); clear it on packets 20 and 21.
    with av.open(films / "vp8.webm") as source, av.open(tmp_path / "hidden.webm", "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for place, packet in enumerate(p for p in source.demux(video=0) if p.size):
            data = bytearray(bytes(packet))
            if place in (20, 21):
                assert not packet.is_keyframe
                data[0] &= ~0x10
            copy = av.Packet(bytes(data))
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, stream
            target.mux(copy)
    frames = sample_rate(tmp_path / "hidden.webm", 10)
    assert numbers(frames)[18:24] == [18, 19, 19, 19, 22, 23]
    assert frames.times[20] == pytest.approx(1.9)


def test_sound_longer_than_the_picture_is_no_error(tmp_path):
    for name in ("sound.mp4", "sound.mkv"):
        path = encode(tmp_path / name, range(30), audio=8.0)
        assert probe(path).duration == pytest.approx(3.0, abs=0.001)
        assert numbers(sample_uniform(path, 2)) == [7, 22]


@pytest.mark.parametrize("name", ["a:b.mp4", "concat:x|y.mp4", "%03d.mp4", "-i.mp4", "电影 1.mp4", "http:..mp4"])
def test_a_name_is_only_a_name(films, tmp_path, name, monkeypatch):
    (tmp_path / name).write_bytes((films / "one-gop.mp4").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(name).frames == 60


def film_error(path: Path) -> str:
    messages = set()
    for read in (probe, lambda p: sample_rate(p, 2), lambda p: sample_uniform(p, 3)):
        with pytest.raises(IvcrError) as caught:
            read(path)
        messages.add(str(caught.value))
    assert len(messages) == 1
    message = messages.pop()
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_files_that_are_not_there_or_not_films(tmp_path):
    text, noise, empty, picture_file = (tmp_path / name for name in ("a.txt", "noise.mp4", "empty.mp4", "p.mp4"))
    text.write_text("a script, not a film\n" * 50)
    noise.write_bytes(np.random.default_rng(0).bytes(9000))
    empty.touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    encode(picture_file.with_suffix(".png"), [0], codec="png", pix_fmt="rgb24").rename(picture_file)
    assert "No such file" in film_error(tmp_path / "missing.mp4")
    assert "found a folder" in film_error(tmp_path)
    assert "found an empty file" in film_error(empty)
    assert "not a regular file" in film_error(tmp_path / "pipe.mp4")
    assert "found format 'tty'" in film_error(text)
    assert "cannot read (Invalid data" in film_error(noise)
    assert "png_pipe" in film_error(picture_file)
    assert "expected a whole film" in film_error(noise)


def test_a_playlist_cannot_open_other_files(films, tmp_path):
    playlist = tmp_path / "film.m3u8"
    target = films / "broadcast.ts"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{target}\n#EXT-X-ENDLIST\n")
    film_error(playlist)


def test_sound_alone_is_not_a_film(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(path, "w", format="mp4") as container:
        mux_silence(container, container.add_stream("aac", rate=8000, layout="mono"), 1.0)
    assert "no video stream, only audio" in film_error(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_film_that_may_not_be_read(films, tmp_path):
    path = tmp_path / "secret.mp4"
    path.write_bytes((films / "one-gop.mp4").read_bytes())
    path.chmod(0)
    assert "Permission denied" in film_error(path)


def test_a_film_that_may_not_be_opened_says_why(films, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot open the film: Permission denied" in film_error(films / "one-gop.mp4")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("index-last.mp4", {}),
        ("index-first.mp4", {"movflags": "+faststart"}),
        ("fragments.mp4", {"movflags": "+frag_keyframe+empty_moov"}),
        ("film.mkv", {}),
        ("film.avi", {}),
    ],
)
def test_a_film_cut_short_is_an_error_and_not_a_short_read(tmp_path, name, options):
    whole = encode(tmp_path / name, range(100), g=10, crf=10, container_options=options)
    data = whole.read_bytes()
    assert probe(whole).frames == 100
    for part in (0.2, 0.4, 0.6, 0.8):
        cut = tmp_path / f"{part}-{name}"
        cut.write_bytes(data[: int(len(data) * part)])
        film_error(cut)


def test_a_film_cut_short_says_how_much_of_it_is_there(tmp_path):
    data = encode(tmp_path / "film.mkv", range(100), g=10, crf=10).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    message = film_error(cut)
    assert "of the 10.00 s that it declares" in message
    seconds = float(message.split("frames for ")[1].split(" s")[0])
    assert 3.0 < seconds < 7.0


def test_libav_writes_nothing_to_standard_error(tmp_path):
    data = bytearray(encode(tmp_path / "film.mp4", range(60), g=20).read_bytes())
    start = data.index(b"mdat") + 1000
    data[start : start + 2000] = np.random.default_rng(0).bytes(2000)
    (tmp_path / "damaged.mp4").write_bytes(data)
    code = (
        "from ivcr_bench.data.video import sample_rate\n"
        "from ivcr_bench.errors import IvcrError\n"
        "try:\n    sample_rate('damaged.mp4', 10)\n"
        "except IvcrError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("damaged.mp4: found ")


@pytest.mark.parametrize("n", [0, -1])
def test_at_least_one_sample(films, n):
    with pytest.raises(ValueError, match="at least 1"):
        sample_uniform(films / "one-gop.mp4", n)


@pytest.mark.parametrize("rate", [0, -1.0, math.inf, math.nan])
def test_a_rate_is_positive(films, rate):
    with pytest.raises(ValueError, match="positive"):
        sample_rate(films / "one-gop.mp4", rate)
