"""Every number that bounds something, with its unit and its reason."""

KIB = 1024
MIB = 1024 * KIB

# --- frames -----------------------------------------------------------------------------------
HEADER_SIZE = 8  # bytes: "!BBHI" type, flags, channel, length

GREETING_MAX = 4 * KIB  # bytes of one hello or proof: the only frames a stranger gets parsed
CONTROL_MAX = 64 * KIB  # bytes of any other control frame
EXEC_MAX = 2 * MIB  # bytes of an Exec: the kernel takes about 2 MiB of argv and environment
DATA_MAX = 256 * KIB - HEADER_SIZE  # bytes of a data frame: header and payload fill whole TLS records
WORDS_MAX = 32_768  # strings in one list: what the kernel could take, and no deep list beyond

# --- before and around authentication ----------------------------------------------------------
GRACE = 10.0  # seconds for all that precedes authentication
STRANGERS = 1_000  # connections at once that have not proved who they are; a quarter is for known sources
STRANGERS_PER_SOURCE = 250  # of them, from one source that nobody proved anything from lately
SOURCES_MAX = 4_096  # sources remembered that failed, and likewise that proved something
KNOWN_FOR = 86_400.0  # seconds that a source counts as known: what runs every day stays so
PENALTY_UNPROVED = 5.0  # seconds that a proof nobody accepts costs its source ...
PENALTY_LATE = 10.0  # ... that a grace which is over does ...
PENALTY_BROKEN = 2.0  # ... that a broken protocol does ...
PENALTY_SILENT = 1.0  # ... and that a connection does which says nothing: one a second is nobody's harm
PENALTY_FROM = 15.0  # seconds from which on a source is shut out: to fail once or twice is human
PENALTY_GROWTH = 2  # factor that each time a source was shut out makes the next penalties longer by
PENALTY_MAX = 600.0  # seconds that a source is shut out at most
PENALTY_MEMORY = 3_600.0  # seconds without a failure after which it starts anew
SESSIONS_PER_USER = 1_000  # at once
COMMANDS_PER_USER = 2_000  # at once
JUDGING_MAX = 256 * KIB  # bytes read while a proof is judged
PROOFS_MAX = 6  # proofs on one connection, as OpenSSH's MaxAuthTries
BINDINGS_MAX = 65_536  # bindings remembered against replay; 32 bytes each
SESSION_ID = 16  # bytes, random, chosen by the client
NONCE = 32  # bytes, random, in the server's hello
NAME_MAX = 64  # characters of a user's or group's name: what fits a log line and any account
RSA_BITS_MIN = 2_048  # below it RSA counts as broken
RSA_BITS_MAX = 8_192  # key twice and signature still fit a proof of GREETING_MAX, and verifying stays cheap
RSA_EXPONENT_BITS_MAX = 64  # a stranger's exponent decides what verifying costs; OpenSSL's own limit
AGENT_MAX = 256 * KIB  # bytes of one message of an ssh-agent, as OpenSSH's own limit
AGENT_KEYS_MAX = 2_048  # keys an agent may list, likewise

# --- channels, windows, retention --------------------------------------------------------------
CHANNEL_MAX = 65_535  # u16 of the header; 0 is the connection
CHANNELS_PER_SESSION = 1_024  # commands at once on one session
IDS_MAX = 4_096  # ids of commands that a session remembers; older ones are only known to be used
WINDOW_START = 256 * KIB  # bytes the peer may send on a stream before any Credit
WINDOW_MAX = 16 * DATA_MAX  # bytes a window grows to where the line wants it: whole frames
WINDOW_TOTAL = 16 * MIB  # bytes by which all windows of one session may have grown
CREDIT_MAX = 64 * MIB  # bytes a Credit may run ahead of what was sent: more is a protocol error
ACK_BYTES = 512 * KIB  # an Ack is due after so many bytes ...
ACK_FRAMES = 512  # ... or so many frames, half of what a sender keeps before it pauses ...
ACK_DELAY = 0.05  # ... or so many seconds
UNHURRIED = 0.002  # seconds that a frame or a report waits for company which nobody waits for
RETAIN_BYTES = 4 * MIB  # unacknowledged bytes a sender keeps before it stops reading the child
RETAIN_FRAMES = 1_024  # unacknowledged control frames likewise
UNANSWERED_BYTES = 16 * MIB  # unacknowledged bytes beyond which a client that still asks is cut off
UNANSWERED_FRAMES = 16_384  # likewise frames: 16 for each channel it may have open

# --- lost connections --------------------------------------------------------------------------
RESUME_RESET = 3.0  # seconds a session waits after FIN or RST: the path works, who lives is back within them
RESUME_SILENCE = 60.0  # seconds it waits where nothing was heard: a network that changes, a lid that was shut
PARKED_MAX = 1_024  # sessions that wait at once
PARKED_PER_USER = 64  # of one user: nobody's lost connections use up the room of others
PARKED_BYTES = 256 * MIB  # that all who wait may keep for their clients
PARKED_USER_BYTES = 64 * MIB  # likewise those of one user: sixteen with all that each may keep
IDS_TIME = 3_600  # seconds that an id is known, longer than any client tries to come back
IDS_KEPT = 65_536  # ids whose clients may ask again; beyond it nothing is started for such clients
IDS_KEPT_PER_USER = 32_768  # of one user: nobody's lost connections use up the room of others
IDS_SETTLED = 1_024  # ids known although nobody will ask again
IDS_FILE_TIDY = MIB  # bytes of their file from which on it is written anew where less than half of it matters
IDS_FILE_MAX = 64 * MIB  # bytes of one that is read: no run writes as much
RESUME_PAUSE = 0.2  # seconds before a client first tries again; twice as many each time after that ...
RESUME_PAUSE_MAX = 5.0  # ... up to so many

# --- commands ----------------------------------------------------------------------------------
LINGER = 1.0  # seconds that a background child may hold the pipes of an ended command
KILL_AFTER = 2.0  # seconds between TERM and KILL
CLIENT_PATIENCE = 2.0  # seconds a signalled client waits for the command before it says goodbye
PIPE_BULK = MIB  # bytes of a child's pipe once a full read has shown bulk
POLL_MAX = 2**31 - 1  # milliseconds that poll(2) takes: who waits longer looks once more
TIMEOUT_MAX = 366 * 86_400.0  # seconds a rule or a request may ask for: no clock or poll overflows on it
UMASK = 0o022  # of every command that a rule does not say more about
CHECK_PATIENCE = 5.0  # seconds that the disk has to show where a path leads, before the command is denied
ESCAPE_PATIENCE = 0.5  # seconds to read what a fenced program wants; memory and a local disk take none
REPORT_PATIENCE = 5.0  # seconds between looks at whether a reporter is held up by a memory or a disk
SHORTCUTS_LAST = 1.0  # seconds that a reporter remembers where directories are ...
SHORTCUTS_KEPT = 4_096  # ... and how many
ESCAPES_TOLD = 10  # attempts of one command that are told one by one; of the rest, how many there were
ESCAPES_AT_ONCE = 16  # calls of one fenced program answered before others have their turn

# --- detached commands ---------------------------------------------------------------------------
JOBS_KEPT = 7 * 86_400.0  # seconds that a result is kept: who comes back after a week-end finds it
JOBS_PER_USER = 100  # of one user, those that run and the results that are kept
JOBS_MAX = 1_000  # of all users: each is a directory that a starting server reads
JOB_OUTPUT = 8 * MIB  # bytes of the files that keep what one command wrote, where its rule does not say more
JOB_SEGMENTS = 8  # files that it is in: the oldest goes when there is one too many
JOBS_USER_BYTES = 1024 * MIB  # that all commands of one user may have kept, with all that those may that run
JOBS_BYTES = 8 * 1024 * MIB  # likewise of all users
JOB_ID = 10  # characters of an id, of 32 each: 2^50 of them, and short enough to type
JOB_FILE_MAX = MIB  # bytes of what is written about one command
JOB_LOOK = 1.0  # seconds between looks at commands that an earlier server has started
JOB_VISITORS = 64  # that may attach to one command at once

ORDERS_MAX = 16 * MIB  # bytes that wait for the runner before the server calls itself busy
ANSWERS_MAX = 16 * MIB  # bytes of answers that one session may let wait before it is denied more of them
REPORTS_MAX = MIB  # bytes that wait for the listener before the runner takes no more orders of it

# --- copies ------------------------------------------------------------------------------------
COPY_RECORD_MAX = 64 * KIB  # bytes of one record that is no data: a path of COPY_DEPTH names fits
COPY_DATA_MAX = MIB  # bytes of one record of data
COPY_BUFFER = 256 * KIB  # bytes read or written at once: what a data frame holds
COPY_DEPTH = 128  # directories in directories; each is an open descriptor
COPY_NAME_MAX = 255  # bytes of one name, as the kernel
COPY_ASK = 16 * MIB  # bytes of a file from which on its receiver is asked first: a round trip is then nothing
COPY_KEEP = MIB  # bytes of an interrupted file that are worth keeping for --resume

# --- connections -------------------------------------------------------------------------------
KEEPALIVE_IDLE = 15.0  # seconds of silence before a ping
KEEPALIVE_TIMEOUT = 30.0  # seconds of silence after the ping before the peer counts as gone
AGENT_TIMEOUT = 60.0  # seconds for an ssh-agent, which may ask its user before it signs
CONNECT_TIMEOUT = 10.0  # seconds for address, TCP, TLS and the server's hello
CLEAR_SILENCE = 1.0  # seconds without a word in the clear until a server is asked whether it speaks TLS
TLS_RECORDS = 4 * KIB  # bytes, more than TLS adds to a data frame, which then comes with one read
WRITE_HIGH_WATER = 512 * KIB  # bytes queued on a socket before its sources pause
DRAIN = 10.0  # seconds that running commands have after SIGTERM
ENTERING = 3.0  # of them, seconds for who came in before SIGTERM to prove who it is
FIRST_WORD = 1.0  # seconds that who proved it just now has to ask for its first command meanwhile
PARTING = 1.0  # seconds that last words have on their way out
BACKLOG = 512  # pending connections of a listening socket
SOCKETS_MAX = 250  # listening sockets: what one message hands over (SCM_MAX_FD of unix(7) is 253)
SUCCESSION = 60.0  # seconds that a successor has until it serves
ACCEPTS_AT_ONCE = 64  # connections that are accepted before those that are there have their turn
ACCEPT_AGAIN = 0.5  # seconds until the next try where no descriptor was left
DEFAULT_PORT = 5512

# --- files -------------------------------------------------------------------------------------
POLICY_MAX = MIB  # bytes of an allow list
POLICY_LINE_MAX = 4 * KIB  # bytes of one line of it
VALUE_MAX = 1_024  # bytes of an argument that a type takes: names and paths are shorter
MATCHED_MAX = 4_096  # arguments that a rule with patterns takes: all of its kind must be judged in no time
EXPRESSION_MAX = 512  # places in one regular expression: a word costs its length times this at most
EXPRESSION_STATES = 1_024  # sets of places that one expression remembers: about 1 MiB of the largest
EXPRESSION_DEPTH = 32  # groups in groups of one
POLICY_SHOWN_MAX = 200  # characters of somebody's words in one message: a denial is one short line
POLICY_TOTAL_MAX = 4 * MIB  # bytes of an allow list with all that it includes
INCLUDE_DEPTH = 16  # nested %include
INCLUDE_FILES_MAX = 1_024  # files that one allow list includes, counted as often as they are read
RATE_MAX = 10_000  # starts that a rate may name: the runner remembers the time of each
SIZE_MAX = 1024 * 1024 * MIB  # bytes that a rule may name: 1 TiB
CONFIRM_MAX = 200  # characters of a text to confirm with: it has to be typed
KEY_FILE_MAX = 64 * KIB  # bytes of a key, and of one line of a file of keys
KEY_LIST_MAX = 4 * MIB  # bytes of authorized_keys or known_hosts
CONFIG_MAX = MIB  # bytes of config.toml

# --- audit -------------------------------------------------------------------------------------
AUDIT_SIZE = 100_000_000  # bytes of a file of the audit log before the next one is begun
AUDIT_SIZE_MIN = MIB  # what --audit-size may say at least: a file holds some of the longest records
AUDIT_LINE_MAX = 256 * KIB  # bytes of one record
AUDIT_WORDS_MAX = 64 * KIB  # bytes of an argument vector in it; a longer one stands there cut, with a hash
CHECKPOINT_RECORDS = 4_096  # records after which the log is signed: a signature is then no part of the cost
CHECKPOINT_DELAY = 300.0  # seconds that a record may wait for a signature
RECEIPT_WORDS_MAX = 8 * KIB  # bytes of an argument vector in a receipt, which is one control frame
