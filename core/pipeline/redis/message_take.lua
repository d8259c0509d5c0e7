-- Hands out what is due, as nextStep of the machine says.
-- KEYS  1 ends · 2 groups · 3 the group · 4 what is out · 5 … 8 due, of priorities 1 to 4 · 9 … 12 logs
-- ARGV  1 group's name · 2 member · 3 most deliveries · 4 lease in microseconds
-- Gives {microseconds until something is due or '', {{priority, from_off, to_off} …} of what is missing,
--        {{priority, off, token, deliveries, '1' if it is to be buried, failures, JSON} …}}.
local ends, group, out_key = KEYS[1], KEYS[3], KEYS[4]
-- A full server allows this write, and after it the others: whoever consumes makes room.
redis.call('HDEL', group, 'quarantined')
begin(KEYS[2], group, ends, ARGV[1], 'low')
local now = clock_us()
redis.call('HSET', group, 'seen', text(now))
local member, most, lease_us = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local missing, deliveries = {}, {}

local function note_missing(priority, from_off, to_off)
  missing[#missing + 1] = { text(priority), text(from_off), text(to_off) }
  redis.call('HINCRBY', group, 'missing', text(to_off - from_off + 1))
end

-- Hands out one message of this priority. Nil if there is none; true if only something missing was noted.
local function step(priority)
  local due_key, log = KEYS[4 + priority], KEYS[8 + priority]
  local off, out
  local due = redis.call('ZRANGEBYSCORE', due_key, '-inf', text(now), 'LIMIT', 0, 1)[1]
  if due then
    off = text(tonumber(due))
    out = decode_out(redis.call('HGET', out_key, priority .. ':' .. off))
    if out.member ~= '' and not out.burial then out.failures = out.failures .. failure(out.due, out.member, silence) end
    out.burial = out.deliveries >= deliveries_max
    if not out.burial then out.deliveries = out.deliveries + 1 end
  else
    local place, low = field(group, 'place' .. priority), field(ends, 'low' .. priority)
    if place < low then
      redis.call('HSET', group, 'place' .. priority, text(low))
      note_missing(priority, place + 1, low)
      return true
    end
    if place >= field(ends, 'tail' .. priority) then return nil end
    off = text(place + 1)
    redis.call('HSET', group, 'place' .. priority, off)
    out = { deliveries = 1, failures = '', burial = false }
  end
  redis.call('HSET', group, 'turn', text((field(group, 'turn') + 1) % 64))
  out.token, out.member, out.due = next_token(group), member, now + lease_us
  local entry = redis.call('XRANGE', log, off .. '-0', off .. '-0')[1]
  if not entry then
    drop_out(out_key, due_key, priority, off)
    note_missing(priority, tonumber(off), tonumber(off))
    return true
  end
  put_out(out_key, due_key, priority, off, out)
  deliveries[#deliveries + 1] = { text(priority), off, text(out.token), text(out.deliveries), out.burial and '1' or '0', out.failures, entry[2][6] }
  return true
end

while #deliveries < most do
  local owner = owner_of(field(group, 'turn'))
  local stepped = step(owner)
  for priority = 4, 1, -1 do
    if not stepped and priority ~= owner then stepped = step(priority) end
  end
  if not stepped then break end
end

local next_due = ''
for priority = 1, 4 do
  local first = redis.call('ZRANGE', KEYS[4 + priority], 0, 0, 'WITHSCORES')
  if first[2] then
    local left = math.max(0, tonumber(first[2]) - now)
    if next_due == '' or left < tonumber(next_due) then next_due = text(left) end
  end
end
return { next_due, missing, deliveries }
