-- Writes something that says nothing, so that WAIT after it waits for all that the server has done before.
-- KEYS  1 partition's state: another key would not move with it when its slot does
-- A full server allows the first of these, and after it the other.
redis.call('HDEL', KEYS[1], 'none')
redis.call('HSET', KEYS[1], 'barrier', text(clock_us()))
return 'written'
