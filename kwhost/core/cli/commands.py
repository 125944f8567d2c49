"""Which commands there are: the help, the dispatcher and shell completion all read this table."""

from typing import NamedTuple

__all__ = ["COMMANDS", "Command"]


class Command(NamedTuple):
    """`module`.`function` takes the arguments behind the command's name and returns the exit status."""

    summary: str
    module: str
    function: str = "main"


# A module is loaded when its command is used.
COMMANDS = {
    "run": Command("run a program in a micro-VM of its own", "run"),
    "tui": Command("watch and steer everything, in the terminal", "tui"),
    "up": Command("host what a configuration names: the daemon", "up"),
    "down": Command("stop all instances and the daemon", "down"),
    "reload": Command("have the daemon apply a changed configuration", "reload"),
    "ps": Command("list instances", "ps"),
    "stats": Command("show what instances use", "stats"),
    "top": Command("list the processes of an instance", "top"),
    "inspect": Command("show all about instances, as JSON", "inspect"),
    "logs": Command("show what instances wrote", "logs"),
    "events": Command("show what happened", "events"),
    "exec": Command("run a further program in an instance", "exec"),
    "attach": Command("connect to the program of an instance", "attach"),
    "start": Command("start instances that do not run", "operations", "start"),
    "stop": Command("have instances end, and wait until they have", "operations", "stop"),
    "kill": Command("send a signal to instances", "operations", "kill"),
    "pause": Command("freeze instances", "operations", "pause"),
    "resume": Command("let frozen instances go on", "operations", "resume"),
    "restart": Command("stop and start instances", "operations", "restart"),
    "publish": Command("lead ports of this host to an instance", "publish"),
    "wait": Command("wait for instances to end, and print their exit codes", "operations", "wait"),
    "rm": Command("remove instances with their logs", "operations", "remove"),
    "cp": Command("copy files into an instance or out of it", "cp"),
    "image": Command("add, list and remove the images that instances are made of", "image"),
    "volume": Command("make, list and remove the volumes that instances keep their files in", "volume"),
    "tenant": Command("list tenants with their quotas", "tenant"),
    "policy": Command("check, show, explain and learn policies, and answer what they ask", "policy"),
    "plugin": Command("list plugins, or begin a new one", "plugin"),
    "service": Command("have systemd start the daemon", "service"),
    "system": Command("remove what kwhost left or made on this host", "system"),
    "doctor": Command("say what this host offers, and what to do about what is missing", "doctor"),
    "completion": Command("print a script that completes commands in a shell", "completion"),
}
