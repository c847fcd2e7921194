//! wasmtime as Spin sets it up, and the components' code, compiled once and kept on disk.

use std::path::Path;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::error::Context;
use wasmtime::{Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};
use wasmtime::{Result, bail, format_err};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::bindings::{HostData, spin};
use crate::instance::Guest;
use crate::limits::{Interfaces, Limits};

/// Instances that may live at once, in all components; a request beyond them gets a response 500, as under Spin.
const MAX_INSTANCES: u32 = 1000;
const MIB: usize = 1 << 20;
/// How often code yields that may be ended while it runs.
const EPOCH: Duration = Duration::from_millis(50);

/// Compiles components and links them to what the host provides.
pub struct Compiler {
    engine: Engine,
    linker: Linker<Guest>,
}

impl Compiler {
    /// `cache` is a directory for compiled code, which any number of hosts may share. Components may import what the
    /// platform with these `limits` provides.
    pub fn new(cache: &Path, limits: &Limits) -> Result<Self> {
        let mut pooling = PoolingAllocationConfig::default();
        pooling
            .total_component_instances(MAX_INSTANCES)
            .total_memories(MAX_INSTANCES)
            .total_tables(2 * MAX_INSTANCES)
            .total_stacks(MAX_INSTANCES)
            .total_core_instances(4 * MAX_INSTANCES)
            .table_elements(100_000)
            .max_component_instance_size(10 * MIB)
            .max_core_instance_size(10 * MIB)
            .linear_memory_keep_resident(2 * MIB)
            .table_keep_resident(MIB / 2);

        let mut config = Config::new();
        config.wasm_component_model_async(true);
        config.epoch_interruption(limits.end_instances());
        let mut directory = CacheConfig::new();
        directory.with_directory(cache);
        config.cache(Some(Cache::new(directory).context("the compile cache cannot be used")?));
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling));
        // The pool reserves terabytes of address space, which not every machine has.
        let engine = Engine::new(&config).or_else(|_| {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            Engine::new(&config)
        })?;

        if limits.end_instances() {
            let engine = engine.weak();
            std::thread::spawn(move || {
                while let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    std::thread::sleep(EPOCH);
                }
            });
        }

        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        if limits.interfaces != Interfaces::None {
            spin::key_value::key_value::add_to_linker::<_, HostData>(&mut linker, |guest| guest)?;
            spin::postgres::postgres::add_to_linker::<_, HostData>(&mut linker, |guest| guest)?;
            spin::variables::variables::add_to_linker::<_, HostData>(&mut linker, |guest| guest)?;
        }
        if limits.interfaces == Interfaces::All {
            spin::sqlite::sqlite::add_to_linker::<_, HostData>(&mut linker, |guest| guest)?;
        }
        Ok(Self { engine, linker })
    }

    /// Reads, compiles and links the component at `path`. Takes a second or so where the code is not cached.
    /// Errors: no such file, not a component, or one whose imports or exports this host does not support.
    pub fn load(&self, path: &Path) -> Result<ServicePre<Guest>> {
        let name = path.display();
        if !path.is_file() {
            bail!("{name} is missing: run `cargo xtask build`");
        }
        // Some of these errors quote the file: the first line suffices.
        let first_line = |error: wasmtime::Error| error.to_string().lines().next().unwrap_or_default().to_owned();
        let component = Component::from_file(&self.engine, path)
            .map_err(|error| format_err!("{name} is not a component: {}", first_line(error)))?;
        let linked = self.linker.instantiate_pre(&component).with_context(|| format!("{name} cannot run here"))?;
        ServicePre::new(linked).with_context(|| format!("{name} does not export wasi:http/handler@0.3.0"))
    }
}
