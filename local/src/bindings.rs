//! Host bindings, made from `wit/host.wit`.

use wasmtime::component::HasData;

use crate::instance::Guest;

wasmtime::component::bindgen!({
    path: "../wit",
    world: "moc:uploads/host",
    imports: {
        "spin:postgres/postgres.[constructor]connection-builder": async | trappable,
        "spin:sqlite/sqlite.[method]connection.changes": async | trappable,
        "spin:sqlite/sqlite.[method]connection.changes-async": async | trappable,
        "spin:sqlite/sqlite.[method]connection.last-insert-rowid": async | trappable,
        "spin:sqlite/sqlite.[method]connection.last-insert-rowid-async": async | trappable,
        "spin:key-value/key-value.[method]store.get-keys": async | trappable,
        default: async,
    },
    with: {
        "spin:postgres/postgres.connection": crate::postgres::Connection,
        "spin:postgres/postgres.connection-builder": crate::postgres::ConnectionBuilder,
        "spin:sqlite/sqlite.connection": crate::sqlite::Connection,
        "spin:key-value/key-value.store": crate::key_value::Store,
    },
});

/// Says that the interfaces of `wit/host.wit` are implemented on `Guest`.
pub struct HostData;

impl HasData for HostData {
    type Data<'a> = &'a mut Guest;
}
