"""Tabs for hands that are faster than the screen."""

from textual.widgets import TabbedContent, TabPane, Tabs

__all__ = ["SteadyTabs"]


class SteadyTabs(TabbedContent):
    """Whichever tab was chosen last is shown.

    Textual's own goes back to a tab that has been left when that one's messages come late: that it is
    shown, or that something in it has the focus.
    """

    def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        """Only of the one that is still chosen."""
        if event.tab is not event.tabs.active_tab:
            event.stop()
            event.prevent_default()

    def on_tab_pane_focused(self, event: TabPane.Focused) -> None:
        """Nothing in a tab is given the focus but when the tab is shown."""
        event.stop()
        event.prevent_default()
