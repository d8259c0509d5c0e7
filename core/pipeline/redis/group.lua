-- Prelude of the scripts of consumer groups. A group is one hash:
--   field `s<partition>`  its place there: "off received_us token lease_until_us hash owner", hash in hexadecimal, owner empty for nobody
--   field `m<member>`     who is alive: "lease_until_us parts_max"
-- The floor (one hash for all groups) holds for each partition where a group begins: "off received_us hash"; absent: before the first entry.
-- Tokens grow with the clock as well as by one, so that a server that was promoted without the last of them does not give one out twice.
local zero_hex = string.rep('00', 32)

local function slot_of(group, part)
  local raw = redis.call('HGET', group, 's' .. part)
  if not raw then return nil end
  local off, received_us, token, until_us, hash, owner = string.match(raw, '^(%d+) (%d+) (%d+) (%d+) (%x+) (.*)$')
  return { off = tonumber(off), received_us = received_us, token = tonumber(token), until_us = tonumber(until_us), hash = hash, owner = owner }
end

local function put_slot(group, part, slot)
  redis.call('HSET', group, 's' .. part,
    text(slot.off) .. ' ' .. slot.received_us .. ' ' .. text(slot.token) .. ' ' .. text(slot.until_us) .. ' ' .. slot.hash .. ' ' .. slot.owner)
end

local function next_token(slot) return math.max(slot.token + 1, clock_us()) end

-- The slot, if this lease still holds it. An expired lease that nobody has taken over still does.
local function held_slot(group, part, member, token)
  local slot = slot_of(group, part)
  if slot and slot.owner == member and slot.token == tonumber(token) then return slot end
  return nil
end

local function floor_slot(floors, part)
  local raw = redis.call('HGET', floors, part)
  local off, received_us, hash = string.match(raw or '', '^(%d+) (%d+) (%x+)$')
  return { off = tonumber(off or '0'), received_us = received_us or '0', token = 0, until_us = 0, hash = hash or zero_hex, owner = '' }
end

-- Begins the group at the floor of each partition, once.
local function begin_group(group, groups, floors, name, partitions)
  if redis.call('SADD', groups, name) == 0 then return end
  for part = 0, partitions - 1 do put_slot(group, text(part), floor_slot(floors, text(part))) end
end

-- How many partitions a member should hold, as group_share.ts says.
local function quota(group, member, partitions, parts_max)
  local now = clock_us()
  local wanted = {}
  local found = redis.call('HGETALL', group)
  for i = 1, #found, 2 do
    local name = string.match(found[i], '^m(.*)$')
    if name and name ~= member then
      local until_us, most = string.match(found[i + 1], '^(%d+) (%d+)$')
      if tonumber(until_us) > now then wanted[#wanted + 1] = tonumber(most) end
    end
  end
  local share = math.ceil(partitions / (#wanted + 1))
  local others = 0
  for _, most in ipairs(wanted) do others = others + math.min(most, share) end
  return math.min(parts_max, math.max(share, partitions - others))
end

local function lease_answer(part, slot) return { part, text(slot.token), text(slot.off), slot.received_us, slot.hash } end
