"""The profiles of a machine: one JSON file for each in its cache, named by architecture and setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from pld_search.costs.profile import Profile, Setting, profile_key
from pld_search.errors import DataError
from pld_search.host.disk import write_atomically


class Profiles(Protocol):
    """A source of profiles."""

    def find(self, architecture: str) -> Profile | None:
        """Returns the profile of an architecture (`architecture_digest`); None if none was measured."""


@dataclass(frozen=True, slots=True)
class KnownProfiles:
    """Profiles in memory, by architecture; empty by default."""

    profiles: Mapping[str, Profile] = field(default_factory=dict)

    def find(self, architecture: str) -> Profile | None:
        """Returns the profile in memory; None if there is none."""
        return self.profiles.get(architecture)


@dataclass(frozen=True, slots=True)
class StoredProfiles:
    """The profiles in a folder, for one setting."""

    folder: Path
    setting: Setting

    def find(self, architecture: str) -> Profile | None:
        """Returns the stored profile; None if there is none. Raises DataError for a file that is not a valid
        profile.
        """
        path = self.folder / f"{profile_key(architecture, self.setting)}.json"
        return read_profile(path) if path.is_file() else None


@dataclass(frozen=True, slots=True)
class MergedProfiles:
    """The profiles of `first`; profiles that it lacks come from `second`."""

    first: Profiles
    second: Profiles

    def find(self, architecture: str) -> Profile | None:
        """Returns the profile of the first source, else of the second."""
        return self.first.find(architecture) or self.second.find(architecture)


def profiles_folder(cache: str | Path) -> Path:
    """Returns the folder of the profiles of a machine, below its cache folder."""
    return Path(cache) / "profiles"


def read_profile(path: Path) -> Profile:
    """Reads the profile in a file and checks its name against its content. Raises DataError."""
    try:
        profile = Profile.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise DataError(
            f"{path} is no profile of this version ({why}); delete it and run `pld-search plan STUDY --calibrate`"
        ) from error
    if profile.key != path.stem:
        raise DataError(
            f"{path} holds the profile of another architecture or machine; delete it and run `pld-search "
            "plan STUDY --calibrate`"
        )
    return profile


def store_profile(folder: Path, profile: Profile) -> Path:
    """Writes a profile under its key and returns its file; a concurrent reader sees the old file or the new file."""
    path = folder / f"{profile.key}.json"
    write_atomically(path, profile.model_dump_json(indent=2) + "\n")
    return path
