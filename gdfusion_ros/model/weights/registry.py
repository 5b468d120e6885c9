"""Weights by name: what is known of them (weights/manifest.yaml), where they lie, and what brings them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gdfusion_ros.errors import GdfusionError
from gdfusion_ros.files import digest
from gdfusion_ros.model.weights.metadata import WeightsMetadata, read_metadata
from gdfusion_ros.resources import resource
from gdfusion_ros.settings import DEFAULT_MODEL, ModelSettings

MANIFEST = 'weights/manifest.yaml'


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of the manifest.

    Attributes:
        name: What 'weights' of the node and of the command line may be.
        model: The network in the zoo that takes them.
        file: Name of the file; empty where the authors give it none.
        license: Of the file, and what it was trained on.
        trained_on: The data, in words.
        about: One sentence.
        repository: On the Hugging Face Hub; empty for a file that comes from elsewhere.
        by_hand: Where their authors give them by hand; empty for others. The file's path is to be given then.
        quantized_from: Name of the weights that these are in 8 bits; empty for others.
        size: Bytes; 0 where it is not known.
        sha256: Of the file; empty where it is not known.
    """

    name: str
    model: str
    file: str
    license: str
    trained_on: str
    about: str
    repository: str = ''
    by_hand: str = ''
    quantized_from: str = ''
    size: int = 0
    sha256: str = ''

    def path(self) -> Path | None:
        """Where the file lies on this machine; None where it does not."""
        if self.by_hand:
            return None
        if not self.repository:
            packaged = resource(MANIFEST).parent / self.file
            return packaged if packaged.is_file() else None
        try:
            from huggingface_hub import try_to_load_from_cache
        except ImportError:
            return None
        cached = try_to_load_from_cache(self.repository, self.file)
        return Path(cached) if isinstance(cached, str) else None


def known() -> dict[str, Weights]:
    """Every entry of the manifest by name.

    Raises:
        GdfusionError: the manifest is missing or damaged.
    """
    path = resource(MANIFEST)
    try:
        entries = msgspec.yaml.decode(path.read_bytes(), type=list[Weights])
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise GdfusionError(f'{path} cannot be read: {" ".join(str(error).split())}') from error
    return {entry.name: entry for entry in entries}


def find(text: str) -> Path:
    """The file of weights that ``text`` means: a known name, else a path.

    Raises:
        GdfusionError: the file of a known name is not on this machine.
    """
    entry = known().get(text)
    if entry is None:
        return Path(text).expanduser()
    path = entry.path()
    if path is None and entry.by_hand:
        raise GdfusionError(
            f"weights '{text}' are given by their authors alone ({entry.by_hand}): bring their file, "
            f"and set 'weights' to its path and 'model' to {entry.model}"
        )
    if path is None:
        raise GdfusionError(f"weights '{text}' are not on this machine; 'gdfusion weights fetch {text}' brings them")
    return path


def identify(text: str) -> tuple[Path, WeightsMetadata]:
    """The file of the weights that ``text`` means (see ``find``), and what is known of them or the file itself says.

    Raises:
        GdfusionError: there is no such file on this machine.
    """
    entry = known().get(text)
    if entry is None:
        path = find(text)
        return path, read_metadata(path)
    return find(text), WeightsMetadata(entry.model, entry.trained_on, 'int8' if entry.quantized_from else '')


def in_8_bits(text: str) -> str:
    """The name of the same weights in 8 bits, where there are such; ``text`` itself otherwise."""
    return next((entry.name for entry in known().values() if text and entry.quantized_from == text), text)


def name_of(settings: ModelSettings) -> str:
    """The weights that the settings mean, by name or path; those in 8 bits where they ask for such."""
    name = settings.weights or settings.model or DEFAULT_MODEL
    return in_8_bits(name) if settings.precision == 'int8' else name


def fetch(entry: Weights) -> Path:
    """Bring the file from the Hugging Face Hub, with a progress bar of the library, and verify it.

    Raises:
        GdfusionError: huggingface_hub is not installed, the file cannot be had, or it is not what it should be.
    """
    if entry.by_hand:
        raise GdfusionError(
            f"weights '{entry.name}' cannot be fetched: their authors give them by hand ({entry.by_hand})"
        )
    if not entry.repository:
        raise GdfusionError(f"weights '{entry.name}' come with the package, nothing has to be fetched")
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    except ImportError as error:
        raise GdfusionError(f"fetching needs huggingface_hub: pip install 'gdfusion-ros[hub]' ({error})") from error
    try:
        said = get_hf_file_metadata(hf_hub_url(entry.repository, entry.file))
        path = Path(hf_hub_download(entry.repository, entry.file))
    except Exception as error:  # of the network its versions raise what requests, httpx or the system does
        reason = str(error).strip().partition('\n')[0] or type(error).__name__
        raise GdfusionError(f'{entry.file} cannot be fetched from {entry.repository}: {reason}') from error
    verify(path, entry.size or said.size or 0, entry.sha256 or (said.etag or ''))
    return path


def verify(path: Path, size: int, sha256: str) -> None:
    """Compare a file with its size (0: any) and its SHA-256 (anything but 64 digits: any).

    Raises:
        GdfusionError: it differs, or cannot be read.
    """
    try:
        found = path.stat().st_size
        if size and found != size:
            raise GdfusionError(f'{path} has {found} bytes instead of {size}; remove it and fetch it again')
        if len(sha256) == 64 and digest(path) != sha256:
            raise GdfusionError(f'{path} has another SHA-256 than {sha256}; remove it and fetch it again')
    except OSError as error:
        raise GdfusionError(f'{path} cannot be read: {error.strerror}') from error
