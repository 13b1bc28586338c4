\set user random(1, :sessions)
SELECT client_secret, expires_at, account_id, components
FROM dialstack.account_session_create('acct_' || :user, product => 'bench', env => 'production');
