"""The plugins that come with kwhost, by the names of their modules: the core never imports them."""

__all__ = ["BUILT_IN"]

BUILT_IN = (
    "kwhost.plugins.engine_direct",
    "kwhost.plugins.engine_process",
    "kwhost.plugins.images_local",
    "kwhost.plugins.images_store",
    "kwhost.plugins.storages_local",
    "kwhost.plugins.network_none",
    "kwhost.plugins.network_tenant",
    "kwhost.plugins.daemon_metrics",
)
