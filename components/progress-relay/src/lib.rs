//! The relay, a private route: the only component that can reach the broadcaster.

moc_adapters::private_component!(moc_adapters::progress::relay);
