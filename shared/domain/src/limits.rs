//! Every bound and default of the product, with its unit in its name.

/// One kibibyte, in bytes.
pub const KIB: u64 = 1024;
/// One mebibyte, in bytes.
pub const MIB: u64 = 1024 * KIB;

/// Highest part number of a multipart upload
/// ([S3 limits](https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)).
pub const PART_NUMBER_MAX: u16 = 10_000;
/// Smallest part that S3 accepts before the last one.
pub const PART_SIZE_MIN_MIB: u64 = 5;
/// Largest part size that can be configured.
pub const PART_SIZE_MAX_MIB: u64 = 100;
/// Part size if none is configured.
pub const PART_SIZE_DEFAULT_MIB: u64 = 5;

/// Largest instruction file where no limit is configured.
pub const INSTRUCTION_MAX_DEFAULT_MIB: u64 = 50;
/// Largest parts list where no limit is configured.
pub const PARTS_LIST_MAX_DEFAULT_MIB: u64 = 5;
/// Largest image or thumbnail where no limit is configured.
pub const IMAGE_MAX_DEFAULT_MIB: u64 = 10;
/// Largest file limit that can be configured: what the smallest parts can hold.
pub const FILE_MAX_MIB: u64 = PART_SIZE_MIN_MIB * PART_NUMBER_MAX as u64;
/// Files of one session where no limit is configured.
pub const FILES_PER_SESSION_DEFAULT: u64 = 50;
/// Most files that a session can be configured to hold.
pub const FILES_PER_SESSION_MAX: u64 = 1_000;

/// A session's first lifetime, and what activity extends it by.
pub const SESSION_LIFETIME_MS: i64 = 30 * 60 * 1000;
/// Activity extends a session that has less than this left.
pub const SESSION_EXTEND_BELOW_MS: i64 = 10 * 60 * 1000;
/// Longest life of a session if none is configured.
pub const SESSION_LIFETIME_MAX_DEFAULT_HOURS: u64 = 24;
/// Longest session life that can be configured.
pub const SESSION_LIFETIME_MAX_HOURS: u64 = 7 * 24;

/// How long the lock of a session holds after it was taken or renewed, by a finalize or by a cancellation that clears
/// the bucket. Clocks of instances that differ by less than this minus [`LEASE_RENEW_MS`] take no lock from its holder.
pub const LEASE_MS: i64 = 15_000;
/// After how much of that its holder renews it.
pub const LEASE_RENEW_MS: i64 = 5_000;
/// Pause before a renewal is repeated that the store has failed.
pub const LEASE_RETRY_MS: u64 = 500;
/// How long a finalize that lost the race waits for the winner before it responds 409: longer than the lease of one
/// that has died just now.
pub const FINALIZE_WAIT_MS: u64 = 17_000;
/// Pause between the first two looks at the winner; it doubles.
pub const FINALIZE_POLL_MS: u64 = 100;
/// Longest pause between two of them.
pub const FINALIZE_POLL_MAX_MS: u64 = 1_000;
/// A MOC that has stood this long next to an unfinished session was left by a crash: heal it.
pub const FINALIZE_HEAL_AFTER_MS: i64 = 1_000;
/// Files that finalize validates at once if nothing is configured.
pub const FINALIZE_CONCURRENCY_DEFAULT: u64 = 16;
/// Most that can be configured.
pub const FINALIZE_CONCURRENCY_MAX: u64 = 64;
/// How often an object is looked for whose upload no longer exists.
pub const COMPLETION_LOOKS: u32 = 10;
/// How often the object of a completed file is looked for.
pub const OBJECT_LOOKS: u32 = 3;
/// Pause between two of these looks.
pub const LOOK_PAUSE_MS: u64 = 1_000;
/// Longest time that the bucket may take to complete a file if none is configured. If the bucket has neither
/// the upload nor the object after that, the file is given up.
pub const COMPLETION_TIMEOUT_DEFAULT_MINUTES: u64 = 15;
/// Longest such time that can be configured.
pub const COMPLETION_TIMEOUT_MAX_MINUTES: u64 = 24 * 60;
/// Files of one session that may be taken out of it before the bucket is cleared of them.
pub const UNCLEARED_FILES_MAX: u64 = FILES_PER_SESSION_MAX;
/// Uploads that cancel aborts at once.
pub const ABORT_CONCURRENCY: usize = 16;
/// Whole objects are read one at a time if a finalize has less time left than this, where the host limits it.
pub const READ_ALONE_BELOW_MS: u64 = 60_000;
/// Bytes of an object that finalize reads to recognise its content: those in which the header of a PDF may be
/// (ISO 32000-1, annex H.3.4.1).
pub const CONTENT_PROBE_BYTES: u64 = 1_024;

/// Largest object that S3 copies in one request.
pub const COPY_MAX_BYTES: u64 = 5 * 1024 * MIB;

/// Longest file name that a client may give, in characters.
pub const FILE_NAME_MAX_CHARS: usize = 255;
/// Longest name inside an object key, in characters.
pub const OBJECT_NAME_MAX_CHARS: usize = 100;
/// Longest such name in bytes, so that it fits the longest user id and into a file name of common file systems.
pub const OBJECT_NAME_MAX_BYTES: usize = 170;
/// Longest object key, in bytes ([S3](https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)).
pub const OBJECT_KEY_MAX_BYTES: usize = 1_024;
/// Longest user id (the JWT's `sub`), in bytes.
pub const USER_ID_MAX_BYTES: usize = 255;
/// Longest media type, in bytes.
pub const MEDIA_TYPE_MAX_BYTES: usize = 127;
/// Longest ETag that is kept, in bytes.
pub const ETAG_MAX_BYTES: usize = 128;
/// Longest title, in characters.
pub const TITLE_MAX_CHARS: usize = 100;
/// Longest description, in characters.
pub const DESCRIPTION_MAX_CHARS: usize = 5_000;
/// Most tags of a MOC.
pub const TAGS_MAX: usize = 20;
/// Longest tag or theme, in characters.
pub const TAG_MAX_CHARS: usize = 50;
/// Longest slug, in characters, before a number is appended.
pub const SLUG_MAX_CHARS: usize = 80;
/// How many numbered slugs are looked at before a title conflict asks the user for another title.
pub const SLUG_SUFFIX_MAX: u32 = 20;

/// Largest JSON body of a route, the lists of a session's files and of a file's parts excepted.
pub const JSON_BODY_MAX_BYTES: u64 = 256 * KIB;
/// A file's longest declaration in JSON: each character of its name may be escaped as a surrogate pair (`\ud83c\udff0`),
/// and each of its type as `\u0061`.
pub const FILE_JSON_MAX_BYTES: u64 = (12 * FILE_NAME_MAX_CHARS + 6 * MEDIA_TYPE_MAX_BYTES) as u64 + 512;
/// A part's longest entry in JSON, with a backslash before each character of its ETag.
pub const PART_JSON_MAX_BYTES: u64 = 2 * ETAG_MAX_BYTES as u64 + 128;
/// Largest body of `complete`: as many parts as a file may have.
pub const COMPLETE_BODY_MAX_BYTES: u64 = PART_NUMBER_MAX as u64 * PART_JSON_MAX_BYTES;

/// Largest body that creates a session of so many files.
#[must_use]
pub const fn session_body_max_bytes(files_max: u64) -> u64 {
    let files_bytes = KIB + files_max * FILE_JSON_MAX_BYTES;
    if files_bytes > JSON_BODY_MAX_BYTES { files_bytes } else { JSON_BODY_MAX_BYTES }
}

/// Largest body of a request that the host lets through if none is configured: more than this service takes.
pub const REQUEST_MAX_DEFAULT_MIB: u64 = PART_SIZE_MAX_MIB;
/// Smallest such body that can be configured: a part that is not the last one.
pub const REQUEST_MAX_MIN_MIB: u64 = PART_SIZE_MIN_MIB;
/// Longest time for a request that a host can be configured to give.
pub const REQUEST_TIME_MAX_SECONDS: u64 = 3_600;
/// How long before the host ends a request this service does, with a response; at most a quarter of its time.
pub const REQUEST_END_RESERVE_MS: u64 = 2_000;
/// What remains of the time until then when a use case gives up, to let go of what it holds; at most a quarter of it.
pub const WORK_END_RESERVE_MS: u64 = 3_000;
/// Memory of an instance if none is configured: all that WebAssembly can address.
pub const INSTANCE_MEMORY_DEFAULT_MIB: u64 = 4_096;
/// Smallest memory of an instance that can be configured.
pub const INSTANCE_MEMORY_MIN_MIB: u64 = 128;
/// Largest body of a batch of parts.
pub const BATCH_MAX_BYTES: u64 = 50 * MIB;
/// Most parts that a batch may name: more than fit into it, so that every wrong one is reported.
pub const BATCH_PARTS_MAX: usize = 100;
/// Most parts that one request wants URLs for, or records.
pub const DIRECT_PARTS_MAX: usize = 100;
/// Parts of one batch that are in memory at once: one is read while the others are sent.
pub const BATCH_PARTS_IN_MEMORY: usize = 4;
/// Most `/pointer` errors that one validation error lists.
pub const VALIDATION_ERRORS_MAX: usize = 50;

/// Longest time that a part or a batch may bring no byte.
pub const BODY_SILENCE_MAX_MS: u64 = 20_000;
/// Longest time that it may take for [`BODY_PACE_MIN_BYTES`]: 1 KiB/s.
pub const BODY_PACE_WINDOW_MS: u64 = 60_000;
/// What it has to bring in that time.
pub const BODY_PACE_MIN_BYTES: u64 = 60 * KIB;
/// Longest time that a JSON body may take if none is configured.
pub const REQUEST_TIMEOUT_DEFAULT_SECONDS: u64 = 10;
/// Longest such time that can be configured.
pub const REQUEST_TIMEOUT_MAX_SECONDS: u64 = 60;
/// Longest time that a health check waits for the store and the bucket.
pub const HEALTH_CHECK_MAX_MS: u64 = 2_000;
/// Longest time that a body between two components of the application may take.
pub const PRIVATE_BODY_MAX_MS: u64 = 10_000;
/// Longest time that one part may take from the client if none is configured.
pub const PART_TIMEOUT_DEFAULT_SECONDS: u64 = 300;
/// Longest part time that can be configured.
pub const PART_TIMEOUT_MAX_SECONDS: u64 = 3_600;
/// Presigned part URLs live this long if nothing is configured.
pub const PRESIGNED_URL_TTL_DEFAULT_MINUTES: u64 = 15;
/// Longest life of a presigned URL ([SigV4](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html): seven days).
pub const PRESIGNED_URL_TTL_MAX_MINUTES: u64 = 7 * 24 * 60;
/// Presigned URLs of objects live this long if nothing is configured.
pub const DOWNLOAD_URL_TTL_DEFAULT_MINUTES: u64 = 60;
/// Longest time that the events of one request may take if none is configured.
pub const EMIT_TIMEOUT_DEFAULT_MS: u64 = 500;
/// Longest such time that can be configured.
pub const EMIT_TIMEOUT_MAX_MS: u64 = 10_000;
/// How long nothing is sent to a broadcaster that has failed.
pub const BROADCASTER_PAUSE_MS: i64 = 5_000;
/// Shortest secret that signs tokens, in bytes
/// ([RFC 7518, section 3.2](https://www.rfc-editor.org/rfc/rfc7518#section-3.2)).
pub const TOKEN_SECRET_MIN_BYTES: usize = 32;
/// Shortest secret that signs webhooks, in bytes
/// ([Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)).
pub const WEBHOOK_SECRET_MIN_BYTES: usize = 24;
/// How far the clocks of a tokens' issuer and of this server may be apart if nothing is configured.
pub const TOKEN_LEEWAY_DEFAULT_SECONDS: u64 = 60;
/// Most that can be configured.
pub const TOKEN_LEEWAY_MAX_SECONDS: u64 = 600;
/// Most issuers, and most audiences, that can be configured.
pub const TOKEN_LIST_MAX: usize = 16;
/// Longest name of the claim with the user's id that can be configured.
pub const CLAIM_NAME_MAX_BYTES: usize = 128;
/// Longest list of scopes that can be required of tokens.
pub const REQUIRED_SCOPE_MAX_BYTES: usize = 256;
/// Most keys of an issuer that one token is verified with.
pub const KEY_CANDIDATES_MAX: usize = 4;
/// Largest key set of an issuer.
pub const KEY_SET_MAX_BYTES: usize = 256 * KIB as usize;
/// How long a fetched key set is used before it is fetched again.
pub const KEY_SET_FRESH_MS: i64 = 10 * 60 * 1000;
/// How long it is used while the issuer is unavailable.
pub const KEY_SET_STALE_MS: i64 = 24 * 60 * 60 * 1000;
/// Longest time that a fetch may take, from its request to the last byte of the response.
pub const KEY_SET_FETCH_MAX_MS: u64 = 3_000;
/// Pause after a fetch that failed or that an unknown key id caused, and the lease of a running one.
pub const KEY_SET_PAUSE_MS: i64 = 5_000;
/// A time that lies so far after the longest pause is that of a wrong clock. Any claim of a fetch reaches the store
/// before that, however busy it is.
pub const KEY_SET_CLOCK_ERROR_MS: i64 = 60_000;
/// Longest time that a request waits for a fetch of another one.
pub const KEY_SET_WAIT_MAX_MS: i64 = 4_000;
/// Pause between two looks at that fetch.
pub const KEY_SET_POLL_MS: u64 = 50;
/// Longest life of a token to watch a session with.
pub const WATCH_TOKEN_MAX_SECONDS: i64 = 3_600;
/// How long a stream of a session's states lasts if nothing is configured.
pub const EVENTS_DEFAULT_SECONDS: u64 = 55;
/// Longest such time that can be configured: a stream keeps its instance, which is replaced after so many requests, and
/// hosts allow only so many instances.
pub const EVENTS_MAX_SECONDS: u64 = 600;
/// Most such streams of an instance. Hosts do not count a stream among the requests that an instance serves at once when
/// its head was sent, so an instance may have as many as it serves requests in its life: 128 with Spin's defaults. The
/// bound is for hosts where that is more, and for their memory.
pub const EVENT_STREAMS_MAX: usize = 1_024;
/// After how long the store is asked again whether a session that is watched has changed, once for an instance.
pub const EVENTS_LOOK_MS: i64 = 1_000;
/// Longest pause before it is asked again after it was unavailable; it doubles from [`EVENTS_LOOK_MS`].
pub const EVENTS_LOOK_PAUSE_MAX_MS: i64 = 15_000;
/// Longest time that one look may take.
pub const EVENTS_LOOK_MAX_MS: u64 = 5_000;
/// Pause between two looks at whether another watcher of the instance has asked the store.
pub const EVENTS_POLL_MS: u64 = 20;
/// After how long without a message a stream has a comment: proxies end connections that are silent for a minute.
pub const EVENTS_SILENCE_MAX_MS: i64 = 15_000;
/// How long a client waits before it connects again.
pub const EVENTS_RETRY_MS: u64 = 1_000;
/// A longest event in JSON, with a file's name or an ETag.
pub const EVENT_MAX_BYTES: u64 = (4 * FILE_NAME_MAX_CHARS + 2 * ETAG_MAX_BYTES) as u64 + 768;
/// Largest batch of events that the relay takes. That of one request fits, and so does its POST into the mebibyte that
/// nginx takes unless configured otherwise.
pub const EVENT_BATCH_MAX_BYTES: u64 = MIB / 2;
/// Most bytes of events that wait in an instance.
pub const EVENTS_WAITING_MAX_BYTES: u64 = 4 * EVENT_BATCH_MAX_BYTES;
/// Largest image that a thumbnail is made of.
pub const THUMBNAIL_SOURCE_MAX_BYTES: u64 = 10 * MIB;
/// Most pixels of one.
pub const THUMBNAIL_PIXELS_MAX: u64 = 50_000_000;
/// Largest width and height of a source, in pixels: the most that JPEG and GIF can declare.
pub const THUMBNAIL_SOURCE_SIDE_MAX_PIXELS: u32 = 65_535;
/// Most memory that decoding one may take, the file itself aside: a WebP of 50 million pixels, which is
/// decoded whole, at the 4.5 bytes a pixel that its planes and its pixels take.
pub const THUMBNAIL_MEMORY_MAX_BYTES: u64 = 256 * MIB;
/// More than an instance that decodes one needs next to that and the file: its code's data, the copy of the file that a
/// WebP is decoded from, a profile. Measured: 13 MiB.
pub const THUMBNAIL_MEMORY_RESERVE_BYTES: u64 = 32 * MIB;
/// Longest time that one may take, from the first byte of its picture on.
pub const THUMBNAIL_MAX_MS: u64 = 60_000;
/// Attempts of one, the first included.
pub const THUMBNAIL_ATTEMPTS_MAX: u32 = 3;
/// Shortest time that is worth an attempt, where the host limits that of a request.
pub const THUMBNAIL_MIN_MS: u64 = 5_000;
/// Pauses between them. After each the next finalize of any session retries, or the next request for the MOC.
pub const THUMBNAIL_PAUSES_MS: [i64; THUMBNAIL_ATTEMPTS_MAX as usize - 1] = [5_000, 300_000];
/// How long a claim on an attempt holds. After that the attempt counts as interrupted by a crash. Next to the attempt
/// it has room for the statements before and after, which wait for a busy store.
pub const THUMBNAIL_LEASE_MS: i64 = 90_000;
/// Most thumbnails that are made after one response.
pub const THUMBNAILS_AFTER_RESPONSE_MAX: u32 = 16;
/// Most thumbnails that a response waits for: its MOC's own, if that is due.
pub const THUMBNAILS_WAITED_FOR_MAX: u32 = 1;
/// Age of a MOC from which on the work after its finalize's response is taken for lost if no attempt at its thumbnail
/// has come to an end: the response to a request for the MOC waits for it then.
pub const THUMBNAIL_LOST_AFTER_MS: i64 = 10_000;
/// Longest time that such a response waits for it. A picture that takes longer is attempted again after a response,
/// with [`THUMBNAIL_MAX_MS`].
pub const THUMBNAIL_OVERDUE_MAX_MS: u64 = 10_000;
/// Largest thumbnail, far above what its pixels can come to.
pub const THUMBNAIL_MAX_BYTES: usize = MIB as usize;
/// Width and height of a thumbnail, in pixels.
pub const THUMBNAIL_SIDE_PIXELS: u32 = 300;
/// Quality of its JPEG (1 to 100).
pub const THUMBNAIL_QUALITY: u8 = 80;
/// Longest time that one attempt of a webhook may take, its response's head included.
pub const WEBHOOK_ATTEMPT_TIMEOUT_MS: i64 = 10_000;
/// Attempts of a webhook, the first included.
pub const WEBHOOK_ATTEMPTS_MAX: u32 = 4;
/// Pauses between them.
pub const WEBHOOK_BACKOFF_MS: [i64; WEBHOOK_ATTEMPTS_MAX as usize - 1] = [1_000, 2_000, 4_000];
/// How long a claim on an attempt holds. After that the attempt counts as interrupted by a crash.
/// Next to the attempt it has room for the statements before and after, which wait for a busy store.
pub const WEBHOOK_LEASE_MS: i64 = 30_000;
/// Most attempts that are begun, those included that crashes interrupted.
pub const WEBHOOK_CLAIMS_MAX: u32 = 16;
/// Longest time that a delivery takes from its first attempt until it is settled.
pub const WEBHOOK_DELIVERY_MAX_MS: i64 = 60_000;
/// Most deliveries that a sweep claims.
pub const WEBHOOK_SWEEP_MAX: usize = 100;
/// Most deliveries that are claimed after another one, once that has its response.
pub const WEBHOOK_SWEEP_AFTER_MAX: usize = 16;
/// Longest time that a response waits for deliveries of others, where it waits for the work that would follow it.
pub const WEBHOOK_SWEEP_WAITED_FOR_MS: u64 = 10_000;
/// Deliveries that a sweep sends at once.
pub const WEBHOOK_SWEEP_CONCURRENCY: usize = 8;
/// Longest time that a sweep takes.
pub const WEBHOOK_SWEEP_TIMEOUT_MS: i64 = 60_000;
/// How long a session is kept after its end until a sweep removes it. Its client sees meanwhile what became of it, and
/// no request that was under way at its end is left.
pub const SWEEP_AFTER_MS: i64 = 60 * 60 * 1000;
/// How long a sweep's claim on a session holds.
pub const SWEEP_LEASE_MS: i64 = 2 * 60 * 1000;
/// How long a session waits for the next sweep that could not be cleared.
pub const SWEEP_PAUSE_MS: i64 = 10 * 60 * 1000;
/// After this time a sweep claims no further session.
pub const SWEEP_CLAIMS_MAX_MS: i64 = 20_000;
/// Longest time that a sweep works on one session; the next one goes on.
pub const SWEEP_SESSION_MAX_MS: u64 = 30_000;
/// Sessions that a sweep claims if its request names no number.
pub const SWEEP_SESSIONS_DEFAULT: u64 = 100;
/// Most sessions that it can be asked to claim.
pub const SWEEP_SESSIONS_MAX: u64 = 1_000;
/// Sessions that are swept after the response of another route.
pub const SWEEP_SESSIONS_AFTER_RESPONSE: u64 = 2;
/// Sessions that a sweep works on at once.
pub const SWEEP_CONCURRENCY: usize = 4;
/// A sweep ends after so many sessions that could not be cleared: the bucket is probably unavailable.
pub const SWEEP_FAILURES_MAX: u64 = 5;
/// Most rows that one statement of a sweep deletes of one table, parts of a session's files for example.
pub const SWEEP_ROWS_MAX: u64 = 1_000;
/// Most that a sweep counts of what is left.
pub const SWEEP_COUNT_MAX: u64 = 1_000;
/// Most pages of a list of the bucket that are read of one session at a time.
pub const SWEEP_PAGES_MAX: usize = 10;
/// Longest time that a sweep may take after the response of another route.
pub const SWEEP_AFTER_RESPONSE_MAX_MS: u64 = 30_000;
/// Largest body of a request for a sweep.
pub const SWEEP_BODY_MAX_BYTES: u64 = 16 * KIB;
/// How long the rows of finalized sessions are kept if nothing is configured.
pub const SESSION_RETENTION_DEFAULT_DAYS: u64 = 30;
/// Longest such time that can be configured.
pub const SESSION_RETENTION_MAX_DAYS: u64 = 3_650;
/// How long the counts of a user's sessions and bytes are kept after their window has begun.
pub const SESSION_COUNTS_KEPT_MS: i64 = 48 * 60 * 60 * 1000;
/// How long the record of a delivered webhook is kept.
pub const WEBHOOK_DELIVERED_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Most failed webhooks that one request can have sent again.
pub const WEBHOOK_RESEND_MAX: usize = 100;
/// Most keys or uploads of a page of a list of the bucket.
pub const BUCKET_PAGE_MAX: usize = 200;
/// Longest `tracestate` that is passed on ([W3C](https://www.w3.org/TR/trace-context/#tracestate-limits):
/// 512 characters at least).
pub const TRACE_STATE_MAX_BYTES: usize = 512;
/// Most spans of a trace that is sent to the collector.
pub const TRACE_SPANS_MAX: usize = 64;
/// Largest trace that the exporter takes.
pub const TRACE_MAX_BYTES: u64 = 256 * KIB;
/// Longest time that sending a trace may take, after the response.
pub const TRACE_EXPORT_MAX_MS: u64 = 5_000;
/// Longest time that a response waits for its trace, where it waits at all (`background_work`).
pub const TRACE_EXPORT_WAITED_FOR_MS: u64 = 2_000;
/// How long no trace is sent to a collector that has failed.
pub const TRACE_PAUSE_MS: i64 = 60_000;
/// Longest path of a request that a trace has, in characters.
pub const TRACE_PATH_MAX_CHARS: usize = 1_024;
/// Most headers that go with each request to the collector.
pub const OTLP_HEADERS_MAX: usize = 16;
/// Longest variable with them.
pub const OTLP_HEADERS_MAX_BYTES: usize = 4 * 1024;
/// A rate limit counts within windows of this length.
pub const RATE_WINDOW_MS: i64 = 60 * 60 * 1000;
/// The quota of registered bytes counts within windows of this length, which begin at midnight (UTC).
pub const QUOTA_DAY_MS: i64 = 24 * RATE_WINDOW_MS;
/// Open sessions of a user where no limit is configured.
pub const OPEN_SESSIONS_DEFAULT: u64 = 100;
/// Most that can be configured: each new session counts as many.
pub const OPEN_SESSIONS_MAX: u64 = 10_000;
/// Most open uploads of a user that can be configured.
pub const OPEN_UPLOADS_MAX: u64 = 100_000;
/// After how long a client that has too many open uploads may look whether one has ended.
pub const OPEN_UPLOADS_PAUSE_MS: i64 = 10_000;
/// Largest quota of bytes that can be configured, of a session or of a day: 1 PiB.
pub const QUOTA_MAX_MIB: u64 = 1 << 30;
/// Attempts to register against those of the same user that come at the same time, where databases do not let writers
/// take turns.
pub const QUOTA_ATTEMPTS_MAX: u32 = 64;

const _: () = {
    // `uploads/{userId}/{sessionId}/{fileId}/{name}`, three bytes for each of the user's id.
    assert!(8 + 3 * USER_ID_MAX_BYTES + 1 + 2 * (36 + 1) + OBJECT_NAME_MAX_BYTES <= OBJECT_KEY_MAX_BYTES);
    assert!(PART_SIZE_MIN_MIB <= PART_SIZE_DEFAULT_MIB && PART_SIZE_DEFAULT_MIB <= PART_SIZE_MAX_MIB);
    assert!(INSTRUCTION_MAX_DEFAULT_MIB <= FILE_MAX_MIB);
    assert!(SESSION_EXTEND_BELOW_MS < SESSION_LIFETIME_MS);
    assert!(FINALIZE_HEAL_AFTER_MS < FINALIZE_WAIT_MS as i64);
    assert!(LEASE_MS + 2 * FINALIZE_POLL_MAX_MS as i64 <= FINALIZE_WAIT_MS as i64);
    assert!(2 * LEASE_RENEW_MS < LEASE_MS && (LEASE_RETRY_MS as i64) < LEASE_RENEW_MS);
    assert!(FILES_PER_SESSION_DEFAULT <= FILES_PER_SESSION_MAX);
    assert!(BODY_SILENCE_MAX_MS < BODY_PACE_WINDOW_MS);
    assert!((KEY_SET_FETCH_MAX_MS as i64) < KEY_SET_WAIT_MAX_MS && KEY_SET_WAIT_MAX_MS < KEY_SET_PAUSE_MS);
    assert!(KEY_SET_FRESH_MS < KEY_SET_STALE_MS);
    assert!(EVENTS_DEFAULT_SECONDS <= EVENTS_MAX_SECONDS && EVENTS_MAX_SECONDS <= REQUEST_TIME_MAX_SECONDS);
    assert!(EVENTS_LOOK_MS < EVENTS_LOOK_PAUSE_MAX_MS && EVENTS_LOOK_MAX_MS < EVENTS_SILENCE_MAX_MS as u64);
    assert!(2 * WEBHOOK_ATTEMPT_TIMEOUT_MS < WEBHOOK_LEASE_MS);
    let [first, second, third] = WEBHOOK_BACKOFF_MS;
    let tried_ms = first + second + third + WEBHOOK_ATTEMPTS_MAX as i64 * WEBHOOK_ATTEMPT_TIMEOUT_MS;
    assert!(tried_ms < WEBHOOK_DELIVERY_MAX_MS && WEBHOOK_DELIVERY_MAX_MS <= WEBHOOK_SWEEP_TIMEOUT_MS);
    assert!(WEBHOOK_ATTEMPTS_MAX < WEBHOOK_CLAIMS_MAX);
    assert!((THUMBNAIL_MAX_MS as i64) < THUMBNAIL_LEASE_MS);
    assert!(THUMBNAIL_MIN_MS <= THUMBNAIL_OVERDUE_MAX_MS && THUMBNAIL_OVERDUE_MAX_MS <= THUMBNAIL_MAX_MS);
    assert!(THUMBNAIL_SOURCE_MAX_BYTES <= REQUEST_MAX_DEFAULT_MIB * MIB);
    assert!((SWEEP_SESSION_MAX_MS as i64) < SWEEP_LEASE_MS && SWEEP_LEASE_MS < SWEEP_PAUSE_MS);
    assert!(RATE_WINDOW_MS < SESSION_COUNTS_KEPT_MS && QUOTA_DAY_MS < SESSION_COUNTS_KEPT_MS);
    assert!(COMPLETE_BODY_MAX_BYTES <= REQUEST_MAX_MIN_MIB * MIB);
    assert!(session_body_max_bytes(FILES_PER_SESSION_MAX) <= REQUEST_MAX_MIN_MIB * MIB);
    assert!(session_body_max_bytes(FILES_PER_SESSION_DEFAULT) == JSON_BODY_MAX_BYTES);
    assert!(DIRECT_PARTS_MAX as u64 * PART_JSON_MAX_BYTES <= JSON_BODY_MAX_BYTES);
    assert!(12 * (DESCRIPTION_MAX_CHARS + TAGS_MAX * TAG_MAX_CHARS) as u64 <= JSON_BODY_MAX_BYTES / 2);
};
