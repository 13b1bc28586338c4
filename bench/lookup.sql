SELECT data FROM bench.lookup WHERE token_hash = sha256(:opaque_token) AND revoked_at IS NULL AND expires_at > now();
