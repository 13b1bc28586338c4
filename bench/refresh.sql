SELECT ok, token, refresh_token, expires_at FROM dialstack.session_refresh(:refresh_token);
