-- {"checksums": {"md5": …, "sha256": …}}, in hex, as far as the client has announced them.
ALTER TABLE files ADD COLUMN metadata TEXT;

-- In hex, where it was computed as the part streamed.
ALTER TABLE files ADD COLUMN last_part_sha256 TEXT;

-- 1 where a finalize has found that the file is not what it was declared to be.
ALTER TABLE files ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0;

-- Takes the place of thumbnail_url, which was never written: an address follows from the key.
ALTER TABLE mocs ADD COLUMN thumbnail_key TEXT;

-- 1 where a webhook is to be delivered: the trigger below writes the delivery with the MOC.
ALTER TABLE mocs ADD COLUMN webhook INTEGER NOT NULL DEFAULT 0;

-- The outbox. A delivery is due from next_attempt_at on, at first at once, whatever the clock of its
-- instance says; whoever claims it moves that on. cause is why the last attempt has failed.
CREATE TABLE IF NOT EXISTS webhook_deliveries (
  moc_id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  occurred_at INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at INTEGER NOT NULL DEFAULT 0,
  cause TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending';

CREATE TRIGGER IF NOT EXISTS write_webhook_delivery AFTER INSERT ON mocs WHEN NEW.webhook = 1
BEGIN
  INSERT INTO webhook_deliveries (moc_id, session_id, user_id, occurred_at)
  VALUES (NEW.id, NEW.session_id, NEW.user_id, NEW.created_at);
END;

INSERT INTO schema_version (version) VALUES (2) ON CONFLICT DO NOTHING;
