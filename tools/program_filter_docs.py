"""The chapter of docs/jail.md about programs without a monitor."""

import re

from pages import ROOT

RULES = ROOT / "kwhost/monitor/jail/program_filter.def"
TABLE = ROOT / "kwhost/monitor/calls/table.def"
ALWAYS = re.compile(r'^(PASSED|NATIVE)\((\w+), "(.*)"\)$', re.MULTILINE)
REFUSED = re.compile(r'^REFUSED\((\w+), (\w+), "(.*?)", (.*)\)$', re.MULTILINE)
PERFORMED = ROOT / "kwhost/monitor/broker/performed.def"
MADE = re.compile(r'^PERFORMED\((\w+), (\w+), (.*?), "(.*)"\)$', re.MULTILINE)
KINDS = {
    "FILES": "files",
    "REST": "files, whoever keeps them",
    "NETWORK": "addresses",
    "EITHER": "files, whoever keeps them, or addresses",
    "OBJECTS": "files, whoever keeps them; an ordinary user's without namespaces",
}
REFUSE = re.compile(r"^REFUSE\(\d+, (\w+), (\w+), ", re.MULTILINE)
HEAD = """
## Programs without a monitor

The engine `process` has neither virtual machines nor monitors: a program makes its calls itself, behind a
filter of its own (`kwhost/monitor/jail/program_filter.c`). Made from the policies that the instance was
started with, it decides by a call's number and the values of its arguments, in this order:

1. Calls by the numbers of 32-bit and x32 programs end the process.
2. These are always made: {passed}.
3. What all layers of the policy plainly permit goes on. About all else, `log`, `ask`, `errno`, `kill` and
   what is limited, the broker is asked, so that it is counted and told. Rules on arguments are part of
   the filter as far as there is room; where there is none the broker is asked about all such calls.
4. Calls that are judged by what lies in memory or in the file system are made by the broker
   (`kwhost/monitor/broker/performed.def`): where the policy has rules on addresses, and where it has rules
   on files; where Landlock keeps these, only what Landlock does not look at.
5. What is said below is refused. The broker refuses it too, when the policy permits what it was asked
   about.
6. All else is made.

The filter of running programs cannot be changed. A changed policy is put into force where it only decides
what they ask about; otherwise it needs a restart. Calls that always pass cost what they cost behind any
filter; others cost a search by number, and a comparison for each value of a rule.

A program that joins has such a filter of its own, and its joiner has none. What is made there inherits its
filter, and of several filters the strictest answer counts: a refusal in the joiner's would come before the
question to the broker, so that a joined program's calls would not be judged, counted and told as those of
the others are. A filter that refuses none of what programs may ask for would refuse nothing. The joiner
hears supervise alone; who joins is in the instance with no more rights than its programs have, and nobody
in there may look into it.

Refused are, with the errno that monitors give, the calls with a fixed errno in [syscalls.md](syscalls.md)
but {native}, numbers that are not there (ENOSYS), and these:

| call | errno | of it |
|---|---|---|
"""

BROKER = """
### Calls that the broker makes

A worker of the broker's takes the caller's ids, groups, capabilities and umask, copies what the call points
to once, holds what it leads to by descriptor, judges that, and makes the call with what it holds
(`kwhost/monitor/broker/`: `caller.c`, `paths.c`, `files.c`, `changes.c`, `sockets.c`, `messages.c`). Links of
/proc, such as /proc/self/fd, mean the caller's. What is judged is what is used, whatever other threads
change meanwhile. For a program this differs from its own calls in little:

- peers of Unix sockets that are told who is at the other end (SO_PEERCRED, SCM_CREDENTIALS) see the caller's
  user and group, and 0 as its process id; the path of a bound socket is told by its last name;
- a terminal that is opened does not become the session's; TIOCSCTTY makes it so;
- openat2 with O_PATH is ENOSYS; openat does it;
- that a table of descriptors is full is noticed when the file is open, and made, already;
- a call that waits ends some tenths of a second after a signal, or its caller, and is there until then: a
  pipe's other end may meet it.

Reading and writing Landlock keeps by itself (`jail/carried.c`, `jail/carried_rules.c`) where the rules are of
its kind: directories with all beneath them, and devices; inner ones grant no less than outer ones, and outer
ones no writing where inner ones say otherwise; refusals are errors. All that they name is there when the
program starts, on the root's own mount or as another one's root: elsewhere others may change names. Then
opening costs little more than without rules, and what is refused is neither counted nor told, with EACCES;
of the calls below only those stay that Landlock does not look at. A directory that a rule begins at cannot
be removed or renamed, and what is moved or linked to where more is granted fails with EXDEV. Message queues,
memory files, and what was passed as standard input, output and error, are left out of it.

What may be executed Landlock holds always (`jail/execution.c`), for each object as it is when the program
starts; beside an exception in a directory, what is made later is not executed. It is neither counted nor
told.

Where the policy has rules on addresses, Landlock (from version 4) keeps the program itself from binding and
connecting to any TCP address, beside the filter: the broker does that for it.

| where there are rules on | call | judged |
|---|---|---|
"""


def chapter() -> str:
    """As it stands in the page."""
    text = RULES.read_text()
    always = {
        kind: [row[1:] for row in ALWAYS.findall(text) if row[0] == kind] for kind in ("PASSED", "NATIVE")
    }
    refusable = dict(REFUSE.findall(TABLE.read_text()))
    assert all(name in refusable for name, _ in always["NATIVE"])
    rows: dict[tuple[str, str], list[str]] = {}
    for name, error, what, _ in REFUSED.findall(text):
        if what:
            rows.setdefault((name, error), []).append(what)
    refused = HEAD.format(
        passed=", ".join(f"{name} ({why})" for name, why in always["PASSED"]),
        native=", ".join(f"{name} ({why})" for name, why in always["NATIVE"]),
    ) + "".join(f"| {name} | {error} | {'; '.join(what)} |\n" for (name, error), what in rows.items())
    made: dict[tuple[str, str], list[str]] = {}
    for kind, name, _, what in MADE.findall(PERFORMED.read_text()):
        made.setdefault((KINDS[kind], what), []).append(name)
    table = (
        f"| {kind} | {', '.join(dict.fromkeys(names))} | {what} |\n" for (kind, what), names in made.items()
    )
    return refused + BROKER + "".join(table)
