//! The whole application as one component, for hosts of plain WASI: it is made of the sources of the components, and
//! chooses one of them by the path, as Spin does.
//!
//! It includes their files instead of depending on their crates because cargo optimises across crates (`lto`) only
//! those that are components and nothing else.
#![cfg(feature = "wasi")]

mod routes;

use moc_adapters::link_thumbnailer;
use moc_adapters::spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};
use routefinder::Router;

use imported::wasi::http::handler;

use routes::Handler;

mod imported {
    moc_adapters::spin_sdk::wit_bindgen::generate!({
        path: "../wit",
        world: "moc:uploads/thumbnailing",
        runtime_path: "moc_adapters::spin_sdk::wit_bindgen::rt",
        with: { "wasi:http/types@0.3.0": moc_adapters::spin_sdk::wasip3::http::types },
        generate_all,
    });
}

moc_adapters::export_handler!(request, dispatch(request));

thread_local! {
    static ROUTER: Router<Handler> = {
        let mut router = Router::new();
        for (route, handler) in routes::ROUTES {
            // Only a pattern in another form is an error.
            let _ = router.add(*route, *handler);
        }
        router
    };
}

async fn dispatch(request: Request) -> Result<Response, ErrorCode> {
    link_thumbnailer(|request| Box::pin(handler::handle(request)));
    let target = request.get_path_with_query().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let found = ROUTER.with(|router| router.best_match(path).map(|found| *found.handler()));
    found.unwrap_or(routes::NOT_FOUND)(request).await
}
