"""The profiles of a study: profiles of the machine, kept in the study's records from their first use on.

A profile turns a budget in seconds into a number of steps. A later calibration, or another machine that continues the
study, must not change the number of steps of the next configurations.
"""

from __future__ import annotations

from dataclasses import dataclass

from pld_search.costs.profile import Profile, setting_of
from pld_search.costs.profile_store import Profiles, StoredProfiles, profiles_folder
from pld_search.host.hardware import device_name
from pld_search.records.study_events import ProfileRecorded
from pld_search.search.ledger import Ledger
from pld_search.search.slots import Slots
from pld_search.specs.machine import Machine


@dataclass(frozen=True, slots=True)
class RecordedProfiles:
    """Finds a profile among the study's recorded profiles, else among the machine's; a profile found there is
    recorded.
    """

    ledger: Ledger
    machine: Profiles

    def find(self, architecture: str) -> Profile | None:
        """The profile of an architecture; None where none was measured on this machine."""
        recorded = self.ledger.study.profiles.get(architecture)
        if recorded is not None:
            return Profile.model_validate(recorded)
        found = self.machine.find(architecture)
        if found is not None:
            self.ledger.write(ProfileRecorded(architecture=architecture, profile=found.model_dump(mode="json")))
        return found


def machine_profiles(machine: Machine, slots: Slots) -> StoredProfiles:
    """Returns the profiles measured for runs of this machine in one of these slots."""
    execution = machine.execution(slots.device, slots.threads, {})
    return StoredProfiles(profiles_folder(machine.cache), setting_of(execution, device_name(slots.device), slots.ranks))
