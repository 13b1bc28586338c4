SELECT valid, scopes FROM dialstack.session_verify(:secret);
