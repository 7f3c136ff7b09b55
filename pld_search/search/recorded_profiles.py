"""The profiles a study counts with: the machine's, kept in the study's records from their first use on.

A budget in seconds becomes a number of steps by a profile. A later calibration, or another machine that continues the
study, must not give its next configurations another number.
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
    """The study's own profiles, else the machine's, which thereby become the study's."""

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
    """What was measured for runs of this machine in one of these slots."""
    execution = machine.execution(slots.device, slots.threads, {})
    return StoredProfiles(profiles_folder(machine.cache), setting_of(execution, device_name(slots.device), slots.ranks))
