-- How far the sink has come with producers of one partition; shown in their heads, never judged by.
-- KEYS  the producers' hashes
-- ARGV  two for each: epoch, seq
-- A full server allows removing, and after it the rest.
for k, key in ipairs(KEYS) do
  local stored = redis.call('HGET', key, 'stored')
  local epoch, seq = string.match(stored or '0 0', '^(%d+) (%d+)$')
  epoch, seq = tonumber(epoch), tonumber(seq)
  local new_epoch, new_seq = tonumber(ARGV[2 * k - 1]), tonumber(ARGV[2 * k])
  if (new_epoch > epoch or (new_epoch == epoch and new_seq > seq)) and redis.call('HEXISTS', key, 'head') == 1 then
    redis.call('HDEL', key, 'stored')
    redis.call('HSET', key, 'stored', ARGV[2 * k - 1] .. ' ' .. ARGV[2 * k])
  end
end
return 'noted'
