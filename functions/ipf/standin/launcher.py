"""In place of the Launcher and the Orchestrator behind it: one mode on one datastrip.

Processes run one after the other in this program and fork nothing; their job orders, links, inputs, outputs and status
are those of the chain. As in the reference, a scheduler that dies between two pools leaves the rest without a run, and
the Launcher says that all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from functions.ipf.common.processor import IpfLog
from functions.ipf.standin.config import Config
from functions.ipf.standin.context import Context, begin, write_programs
from functions.ipf.standin.failing import AT_ONCE, Here, Rules, perform
from functions.ipf.standin.inventory import lay_out
from functions.ipf.standin.laying import keep
from functions.ipf.standin.place import Place
from functions.ipf.standin.products import Maker
from functions.ipf.standin.running import Board, Killed, run_process
from functions.ipf.standin.sizes import facts_of
from functions.ipf.standin.tasks import Setting
from functions.ipf.standin.traces import leave_traces
from shared.domain.names import format_stamp, parse_stamp
from shared.errors import BadInputError, S2psError
from shared.tasktable import Facts, History, Process, Run, Scheme, calls, expand_pool, load_scheme, read_tile_list
from shared.tasktable.history import latest, leave
from shared.tasktable.scheme import Source


def launch(argv: Sequence[str], config: Config, home: Path | None, journal: IpfLog, now: datetime) -> int:
    """Run a mode; returns the Launcher's exit code: 0, or 1 where anything failed."""
    place = Place.of(argv, config, now)
    scheme = load_scheme()
    place.root.mkdir(parents=True, exist_ok=True)
    place.kept.mkdir(parents=True, exist_ok=True)
    board = Board()
    try:
        place.check(scheme)
        context = begin(place, scheme)
        rules = Rules.at(config, _here(place, context), home)
        rule = rules.take(AT_ONCE)
        if rule is not None:
            perform(rule)
        mode = _Mode(place, scheme, context, config, rules, journal, board)
        mode.run()
    except (S2psError, OSError, Killed) as error:
        journal.error(str(error))
        leave_traces(place, board, success=False, said=str(error))
        return 1
    leave_traces(place, board, success=True)
    journal.info("Finished processing successfully !!!")
    return 0


def _here(place: Place, context: Context) -> Here:
    names = (context.strip.datatake, context.strip.name)
    return Here("launcher", place.mode, place.tile, names)


class _Mode:
    """One run of a mode, from its task table to its products."""

    def __init__(
        self,
        place: Place,
        scheme: Scheme,
        context: Context,
        config: Config,
        rules: Rules,
        journal: IpfLog,
        board: Board,
    ) -> None:
        self.place, self.scheme, self.context, self.rules = place, scheme, context, rules
        self.journal, self.board, self.config = journal, board, config
        self.table = scheme.table(place.mode)
        created = context.created or parse_stamp(place.stamp, "now")
        self.created = created
        maker = Maker(context.strip, created, rules, config.light)
        datatake = config.datatake(format_stamp(context.strip.start))
        self.setting = Setting(place, maker, datatake, context.history)
        self.history: History = context.history
        self.run_of = self._run()

    def _run(self) -> Run:
        strip, place = self.context.strip, self.place
        made = {}
        formatted = latest(self.history, Source(type="PDI_DS", level="L1B"))
        if formatted is not None:
            made["PDI_DS_L1B"] = formatted.path
        return Run(
            place.mode,
            str(place.processing),
            strip.station,
            strip.site,
            f"{self.created:%Y-%m-%dT%H:%M:%SZ}",
            (format_stamp(strip.start), format_stamp(strip.stop)),
            place.sources(self.scheme, strip, made),
            baseline=strip.production(self.created).baseline,
            tile=place.tile,
            versions=place.read_versions(self.scheme),
        )

    def run(self) -> None:
        """All of it. BadInputError, Killed or OSError where the Launcher would have ended with an error."""
        place, mode = self.place, self.scheme.mode(self.place.mode)
        tasks = [task for pool in self.table.pools for task in pool.tasks]
        self.board.expect(self.table)
        programs = tuple((task.base_name, self.run_of.versions.get(task.base_name, task.version)) for task in tasks)
        programs = tuple(dict.fromkeys((*self.context.programs, *programs)))
        write_programs(place.processing / "IDP_INFOS" / "idp_infos.xml", programs)
        for kept in self.scheme.kept.values():
            (place.processing / kept).mkdir(parents=True, exist_ok=True)
        self._number_of_tile()
        for process in calls.followers(self.scheme, self.run_of, mode.before, Facts(), self.history, 0):
            self._outside(process)
        self._pools()
        facts = facts_of(self.scheme, self.setting, place.mode) if mode.then else Facts()
        then = calls.followers(self.scheme, self.run_of, mode.then, facts, self.history, len(self.table.pools) + 1)
        for process in then:
            self._outside(process)
        self.history = leave(self.history, mode, place.mode)
        if not mode.then:
            self.history = keep(place, self.context.strip, self.history)
        context = replace(self.context, history=self.history, programs=programs, created=self.created)
        self.board.context = context.to_json(place.mode)
        write_programs(place.kept / "idp_infos.xml", programs)
        products = lay_out(then, self.setting)
        self.journal.info(f"{len(products)} products")

    def _pools(self) -> None:
        """The pools, one after the other. What cannot be expanded ends the scheduler, not the Launcher."""
        for index in range(len(self.table.pools)):
            try:
                facts = facts_of(self.scheme, self.setting, self.place.mode)
                processes, history = expand_pool(self.scheme, self.run_of, self.table, index, facts, self.history)
            except S2psError as error:
                self.board.scheduler_died(str(error))
                return
            self.board.start(index + 1, processes)
            for number, process in enumerate(processes):
                first = number == 0 or processes[number - 1].task != process.task
                written = first or self.config.job_orders == "all"
                run_process(process, self.setting, self.board, self.place.kill_s, written=written)
            self.board.finish()
            self.journal.progress(f"{self.place.mode} {self.place.suffix}: pool {index + 1} of {len(self.table.pools)}")
            self.history = history
            self.setting = replace(self.setting, history=history)
            self.board.pool_done(index + 1, self.place, replace(self.context, history=history))
            if self._scheduler_is_to_die(index):
                self.board.scheduler_died("a rule says so")
                return

    def _scheduler_is_to_die(self, index: int) -> bool:
        names = ["", *(task.name for task in self.table.pools[index].tasks)]
        return any(self.rules.take(("scheduler-dies",), name) is not None for name in names)

    def _outside(self, process: Process) -> None:
        """A call that stands in no task table: a failure is the Launcher's."""
        ended = run_process(process, self.setting, None, self.place.kill_s, written=True)
        if ended >= 128:
            raise BadInputError(f"{process.task}", "an exit code below 128", ended)

    def _number_of_tile(self) -> None:
        if not self.place.tile:
            return
        made = latest(self.history, Source(type="TILE_LIST_FILE"))
        if made is None:
            raise BadInputError("-t", "a tile list of an earlier mode")
        for tile in read_tile_list(Path(made.path).read_bytes(), made.path):
            if tile.ident == self.place.tile:
                self.setting = replace(self.setting, tile=tile)
                return
        raise BadInputError("-t", f"the number of a tile in {made.path}", self.place.tile)
