"""Allowing or denying an instance a call: asked first, done by the daemon, and told."""

import shlex

from textual.app import App

from kwhost.core.api.requests import instance_path
from kwhost.core.errors import KwhostError
from kwhost.core.model.text import clean
from kwhost.tui.api import AsyncClient
from kwhost.tui.messages import ChooseCall
from kwhost.tui.screens.confirm import Confirm

__all__ = ["choose_call"]

_ABOUT = {
    "allow": "From here on, over restarts too. Other layers, rules on arguments, files and addresses still "
    "decide.",
    "deny": "From here on, over restarts too, whatever its arguments. Programs that need it may fail.",
    "as-before": "What was allowed or denied here is taken back: its policy decides again.",
}


async def choose_call(app: App[None], client: AsyncClient, message: ChooseCall) -> None:
    """Until it is done, or not wanted."""
    name, call, action = message.row.name, message.call, message.action
    command = shlex.join(["kwhost", "policy", "set", name, call, action])
    title = f"{action.capitalize()} {call}?"
    if not await app.push_screen_wait(Confirm(action, [name], _ABOUT[action], command, title=title)):
        return
    body = {"call": call, "action": None if action == "as-before" else action}
    try:
        # By id: the name may mean another instance by now.
        await client.request("PUT", instance_path(message.row.key, "policy/rules"), body=body)
    except KwhostError as error:
        failed = f"Not {action}: {call}"
        app.notify(clean(str(error)), title=clean(failed), severity="error", markup=False, timeout=10)
    else:
        app.notify(clean(f"$ {command}"), title=clean(f"{call}: {action} from here on"), markup=False)
