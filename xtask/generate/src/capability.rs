//! What a component can use, and what it is granted for that.

use moc_config::{
    AuthSettings, BroadcasterSettings, BucketSettings, CollectorSettings, DatabaseSettings, DownloadSettings,
    EventStreamSettings, FinalizeSettings, PageSettings, ProgressSettings, SweepSettings, TraceSettings, WatchKeys,
    WatchSettings, WebhookSettings,
};
use serde::Deserialize;

/// A part of the adapters that needs variables, hosts or stores.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Authenticates users; an issuer's keys are fetched, and kept in the database.
    Users,
    /// Reads and writes the database.
    Store,
    /// Sends requests to the bucket.
    Bucket,
    /// Knows the URLs at which clients read objects.
    PublicUrls,
    /// Emits events to the relay; a pause after a failure is kept in the key-value store.
    Progress,
    /// Publishes events to the broadcaster.
    Broadcaster,
    /// Signs the tokens with which clients watch a session.
    WatchTokens,
    /// Verifies these tokens, and the signatures of a GRIP proxy.
    Watching,
    /// Streams the states of a session.
    EventStreams,
    /// Has the thumbnailer make thumbnails.
    Thumbnails,
    /// Calls the component that delivers webhooks.
    FollowUps,
    /// Sends webhooks to their receiver.
    Webhook,
    /// Has the sweeper sweep after a response.
    Sweeps,
    /// Sweeps, and has the webhook sender deliver what is due.
    Sweeping,
    /// Records traces, and calls the components that export them.
    Tracing,
    /// Sends traces to a collector whose URL is an origin; a pause after a failure is kept in the key-value store.
    Collector,
    /// As the former, to a collector whose URL has a path.
    HostedCollector,
    /// Serves the page with its Content-Security-Policy.
    Page,
}

impl Capability {
    /// The variables that it reads.
    pub const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Users => AuthSettings::NAMES,
            Self::Store => DatabaseSettings::NAMES,
            Self::Bucket => BucketSettings::NAMES,
            Self::PublicUrls => DownloadSettings::NAMES,
            Self::Progress => ProgressSettings::NAMES,
            Self::Broadcaster => BroadcasterSettings::NAMES,
            Self::WatchTokens => WatchSettings::NAMES,
            Self::Watching => WatchKeys::NAMES,
            Self::EventStreams => EventStreamSettings::NAMES,
            Self::Thumbnails => &["enable_thumbnail_generation"],
            Self::FollowUps => FinalizeSettings::NAMES,
            Self::Webhook => WebhookSettings::NAMES,
            Self::Sweeps => &[],
            Self::Sweeping => SweepSettings::NAMES,
            Self::Tracing => TraceSettings::NAMES,
            Self::Collector | Self::HostedCollector => CollectorSettings::NAMES,
            Self::Page => PageSettings::NAMES,
        }
    }

    /// The limits of the host that it keeps: it waits for others, has work that may follow a response, or sends a
    /// picture to another component.
    pub const fn host_limits(self) -> &'static [&'static str] {
        match self {
            Self::Users | Self::Store | Self::Bucket | Self::Sweeping | Self::Watching | Self::EventStreams => {
                &["request_max_seconds"]
            }
            Self::Progress | Self::FollowUps | Self::Webhook | Self::Sweeps | Self::Tracing => {
                &["background_work", "request_max_seconds"]
            }
            Self::Collector | Self::HostedCollector => &["background_work"],
            Self::Thumbnails => &["background_work", "request_max_mb", "request_max_seconds"],
            Self::PublicUrls | Self::Broadcaster | Self::WatchTokens | Self::Page => &[],
        }
    }

    /// The hosts that it sends requests to.
    pub const fn hosts(self) -> &'static [&'static str] {
        match self {
            Self::Users => &["{{ jwt_jwks_origin }}"],
            Self::Store => &["{{ database_origin }}"],
            Self::Bucket => &["{{ s3_endpoint }}"],
            Self::Progress => &["http://progress-relay.spin.internal"],
            Self::Broadcaster => &["{{ websocket_api_origin }}"],
            Self::Thumbnails => &["http://thumbnailer.spin.internal"],
            Self::FollowUps => &["http://webhook-sender.spin.internal"],
            Self::Sweeps => &["http://sweeper.spin.internal"],
            Self::Sweeping => &["http://webhook-sender.spin.internal"],
            Self::Webhook => &["{{ moc_finalize_webhook_origin }}"],
            Self::Tracing => &["http://hosted-trace-exporter.spin.internal", "http://trace-exporter.spin.internal"],
            Self::Collector => &["{{ otel_exporter_otlp_endpoint }}"],
            Self::HostedCollector => &["{{ otel_exporter_otlp_origin }}"],
            Self::PublicUrls | Self::WatchTokens | Self::Watching | Self::EventStreams | Self::Page => &[],
        }
    }

    /// Whether it keeps something for a while that all instances share.
    pub const fn has_key_values(self) -> bool {
        matches!(self, Self::Progress | Self::Collector | Self::HostedCollector)
    }
}
