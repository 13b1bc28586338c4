-- A revocation by hand, in psql, counts in the activity as one by function does. The condition is all
-- that a refresh pays for it.
CREATE TRIGGER note_revocation AFTER UPDATE ON dialstack.sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION dialstack.note_revocation();
ALTER TABLE dialstack.sessions ENABLE ALWAYS TRIGGER note_revocation;
