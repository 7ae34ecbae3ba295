"""What a refusal says at the terminal: what is wrong and what to do, in Chinese and in English.

Every class of refusal stands here, and every code of the protocol that a command can meet. A class that is not in the
table is said as its nearest base. What an instance adds, such as a file, a code or a row, is printed behind the words.
"""

from collections.abc import Mapping

from node.domain import errors, refusals
from node.service.drafts import DraftsFull
from node.service.sessions import Locked, WrongPassword
from node.service.throttle import Throttled
from node.web.forgery import ForeignForm
from sync import errors as sync
from sync.transport import TimedOut

Pair = tuple[str, str]

ON_TOPICS: Mapping[type[Exception], Pair] = {
    refusals.NotTheWriter: (
        "议题现在不由本节点办理，或者已办结、已冻结；请看 liandong topic show",
        "This node does not hold the topic now, or it is closed or frozen; see liandong topic show",
    ),
    refusals.OfferOpen: (
        "议题正等对方签收；要在本节点继续办，请先撤回：liandong topic recall",
        "The topic waits for the other node's answer; to go on here recall it first: liandong topic recall",
    ),
    refusals.NotOfferedHere: (
        "这件议题没有交给本节点，或者已经撤回；请看 liandong topic show",
        "The topic is not offered to this node, or was recalled; see liandong topic show",
    ),
    refusals.AlreadyDecided: ("已经有人答复或处置过了，不能再来一次", "It has been decided already, once is all"),
    refusals.StepOrder: (
        "六步要一步一步来，请先完成前面的一步",
        "The six steps follow one another; do the one before first",
    ),
    refusals.ChildrenOpen: (
        "还有分办的议题没有办结：请等它们办结，或逐件解除：liandong topic detach",
        "Parts that were split off are still open; wait for them or detach them: liandong topic detach",
    ),
    refusals.OrphansOpen: (
        "还有孤立条目没有处置：liandong topic orphans 列出，liandong topic dispose 处置",
        "Orphaned entries are not disposed of: liandong topic orphans lists them, liandong topic dispose decides",
    ),
    refusals.CloseAtOrigin: (
        "只有提出议题的节点可以办结；请办结上报（topic report）或退回（topic return）",
        "Only the node where the topic began closes it; report it back (topic report) or return it (topic return)",
    ),
    refusals.NotTheParent: (
        "议题只能交给直接上级，本节点没有上级",
        "A topic goes up to the direct parent only, and this node has none",
    ),
    refusals.NotADescendant: (
        "只能交给本节点之下已入网的节点，请核对代码",
        "Only an enrolled node below this one can be named; check the code",
    ),
    refusals.OverrideReasonMissing: (
        "与建议层级不同，请用 --override-reason 写明理由",
        "This differs from the suggested tier; say why with --override-reason",
    ),
    refusals.DutiesOpen: (
        "此人名下岗位还有未办结的事项，请先在网页“单位与岗位”移交",
        "Posts of this person have open items; hand them over first, on the page Units",
    ),
    refusals.AlreadyTaken: ("这件事已有人处理", "Somebody has decided about this already"),
    refusals.NotWitnessed: (
        "刚刚签名，上级还没有见证；与上级下次联络之后再试",
        "Signed just now, and no witness has signed for it yet; try again after the next exchange with the parent",
    ),
    refusals.NoReceipt: (
        "本节点的日志里没有它：不是本节点写的，或写它的那一世已因恢复而终止；不能为它出具回执",
        "Not in this node's log: it did not write it, or in a life that a restore ended; there is no receipt for it",
    ),
}

ON_THE_NODE: Mapping[type[Exception], Pair] = {
    refusals.Healing: (
        "节点正在恢复，暂时只能查看，核对完并获准之后自动继续；在等谁、怎么办，请看 liandong doctor",
        "This node is healing: read-only until it has compared with its neighbours and is let go on, which happens by"
        " itself; liandong doctor says whom it waits for and what to do",
    ),
    refusals.NotJoined: (
        "节点尚未入网，请先向上级要邀请码，运行 liandong join",
        "This node has not joined the tree: ask the parent for an invitation and run liandong join",
    ),
    refusals.NotMet: (
        "节点启动后还没有与上级（最上级：任一下级）联络上，联络上之前只能查看；请接通网络并运行 liandong serve",
        "Since its start this node has not met its parent (a root: any child) and is read-only until it does; see that"
        " the line works and run liandong serve",
    ),
    refusals.NoNode: (
        "这里没有可用的节点：请运行 liandong init 新建，或用 --data 指明它的数据文件夹",
        "There is no usable node here: make one with liandong init, or name its data folder with --data",
    ),
    refusals.NodeExists: (
        "这里已有节点，未作任何改动；请换一个空的数据文件夹或数据库",
        "There is a node here already and nothing was changed; take an empty data folder or database",
    ),
    refusals.NodeRunning: ("该节点已在运行，请先停止它", "This node runs already; stop it first"),
    refusals.BadToken: (
        "邀请码无效，请向上级重新索取（上级运行 liandong invite）",
        "The invitation is not good; ask the parent for a new one (liandong invite)",
    ),
    refusals.StorageFull: (
        "磁盘空间不足，没有签下任何内容；请清理后再试",
        "The disk is full and nothing was signed; free some space and try again",
    ),
    refusals.Unavailable: ("节点正忙，请过几秒再试", "The node is busy; try again in a few seconds"),
    refusals.NoChineseFont: (
        "本机没有中文字体，请安装后再试（Debian、Ubuntu：apt install fonts-wqy-microhei）",
        "No font on this machine has Chinese characters; install one (Debian, Ubuntu: apt install fonts-wqy-microhei)",
    ),
    refusals.StaleCheckpoint: (
        "日志检查点不是接着上次见证的那个，请取最新的再试",
        "The checkpoint does not continue the one signed last; take the latest and try again",
    ),
    refusals.CheckpointConflict: (
        "同样大小的日志签过另一个版本，两份都已留作证据；请告知上级",
        "The log has signed another state of this size and both are kept as proof; tell the parent",
    ),
}

ON_PEOPLE: Mapping[type[Exception], Pair] = {
    refusals.Unauthenticated: ("请先登录", "Sign in first"),
    WrongPassword: ("用户名或密码不对", "Name or password is wrong"),
    refusals.OtpNeeded: (
        "此账号还要动态验证码；用 --password-stdin 时写在第二行",
        "This account also asks for a one-time code; with --password-stdin it is the second line",
    ),
    refusals.NotAllowed: ("此账号的角色不能做这件事", "The roles of this account do not allow it"),
    refusals.OwnClaim: (
        "不能批准自己提出的认领，须由另一位管理员批准：--approve 之后用 --by 写另一个人的账号",
        "Nobody approves her own claim: another admin has to, whose account --by names",
    ),
    refusals.StepUpNeeded: ("请再次输入密码后重试", "Give your password again, then try once more"),
    refusals.PasswordExpired: (
        "密码已到期，请先更换：liandong user password",
        "The password is too old; set a new one first: liandong user password",
    ),
    refusals.FactorNeeded: (
        "本单位要求动态验证码，请先在网页“我的账号”启用",
        "This office asks for a second factor; set it up first, on the page My account",
    ),
    ForeignForm: (
        "表单不是从本页打开的，或已过期，请重新打开",
        "The form is not from this page, or too old; open it again",
    ),
    Locked: (
        "多次登录失败，账号暂时锁定；请稍后再试，或请管理员解除：liandong user enable",
        "Too many failed attempts, so the account is locked for a while; wait, or lift it: liandong user enable",
    ),
    Throttled: ("请求太多，请稍等片刻", "Too many requests from here; wait a little"),
    DraftsFull: ("待处理的来件太多，暂不再收，请稍后再试", "So much waits that nothing more is taken now; try later"),
    refusals.TooManyRequests: ("操作太频繁，请稍等片刻", "Too many requests; wait a little"),
}

ON_WHAT_IS_GIVEN: Mapping[type[Exception], Pair] = {
    refusals.NotFound: (
        "本节点没有这一项（议题、条目、账号或相邻节点），请核对编号或代码",
        "There is nothing here by that name, be it a topic, entry, account or neighbour; check the number or code",
    ),
    refusals.Invalid: ("填写有误，请改正后再试", "Something is not as it must be; correct it and try again"),
    refusals.IdempotencyKeyReused: (
        "这个幂等键已用于另一个请求，请换一个",
        "This Idempotency-Key was used for a different request; take another",
    ),
    refusals.Malformed: ("请求不是合规的 JSON", "The request is not strict JSON"),
    refusals.BadCursor: ("翻页标记无效，请不带 --cursor 从头看起", "The cursor is not one of this list; begin without"),
    refusals.TooLarge: ("内容过大，请分几次提交", "It is larger than what is taken; send it in several pieces"),
    refusals.UnsupportedMedia: ("不支持这种类型的内容", "The type of content is not supported"),
    errors.RowError: ("文件内容有误，请按所示行列改正", "The table cannot be used; mend the row it names"),
    errors.DivisionError: ("区划表不能用，请按所示行改正", "The division table cannot be used; mend the row it names"),
    errors.DuplicateCode: ("区划表里有两行代码相同", "Two divisions have the same code"),
    errors.UnknownParent: ("上级代码不在区划表里", "The parent is not in the division table"),
    errors.ParentCycle: ("区划的上级关系成了环", "The parent links of the divisions run in a circle"),
    errors.BadLevel: (
        "级别须为 province、city、county、township、village 之一，并低于上级的级别",
        "The level must be one of province, city, county, township, village, and below its parent's",
    ),
    errors.BadCode: ("区划代码须为 6、9 或 12 位数字", "A division code has 6, 9 or 12 digits"),
    errors.BadName: ("区划缺名称", "A division needs a name"),
    errors.UnknownDivision: ("没有这个区划代码，请核对", "No division has this code; check it"),
    errors.CatalogueError: (
        "权责清单不能用，请按所示行改正",
        "The powers catalogue cannot be used; mend the row it names",
    ),
    errors.UnknownCategory: ("类别不在分类表里", "The category is not in the classification"),
    errors.UnknownFunction: (
        "职能须为 decide、approve、fund、enforce、inform 之一",
        "The function must be one of decide, approve, fund, enforce, inform",
    ),
    errors.UnknownTier: (
        "层级须为 township、county、city、province 之一",
        "The tier must be one of township, county, city, province",
    ),
    errors.MissingSource: (
        "权责清单的每一行都要注明依据，没有依据的注明是假定",
        "Each row of the catalogue names its source, or says that it is an assumption",
    ),
    errors.BadException: (
        "例外的地方须为 6、9 或 12 位区划代码",
        "The area of an exception is a division code of 6, 9 or 12 digits",
    ),
    errors.DuplicateRow: ("权责清单里有两行相同", "Two rows of the catalogue say the same"),
    errors.CalendarError: ("日历不能用，请按所示行改正", "The calendar cannot be used; mend the row it names"),
    errors.BadDay: (
        "日期要写成 2026-05-01；调休上班的日子须是星期六或星期日",
        "A day is written 2026-05-01, and one worked in place of another is a Saturday or Sunday",
    ),
    errors.DuplicateDay: ("日历里同一天出现两次", "A day stands in the calendar twice"),
    errors.SheetError: ("文件不能作为表格读取", "The file cannot be read as a table"),
    errors.EmptySheet: ("表格里没有内容", "The file holds no rows"),
    errors.NoHeader: (
        "找不到标题列：前几行中须有一行写明列名（标题、内容、时间等），或用 --map 指定",
        "No column holds the title; one of the first rows has to name the columns, or name them with --map",
    ),
    errors.UnknownFormat: ("文件既不是 CSV 也不是 XLSX", "The file is neither CSV nor XLSX"),
    errors.WrongEncoding: ("文字编码既不是 UTF-8 也不是 GB18030", "The text is neither UTF-8 nor GB18030"),
    errors.UnsafeWorkbook: (
        "这个 XLSX 的构造不安全，不予打开；请另存为 CSV 再试",
        "The workbook is built in a way that is not opened here; save it as CSV and try again",
    ),
    errors.SheetTooLarge: ("文件太大，请分成几个", "The file is too large; split it into several"),
}

ON_THE_LINE: Mapping[type[Exception], Pair] = {
    sync.TransportError: (
        "联系不上对方节点，请检查地址、网络和对方是否在运行",
        "The other node cannot be reached; check address and network, and whether it runs",
    ),
    TimedOut: (
        "对方没有及时答复，请检查网络和对方是否在运行，再试一次",
        "The other node did not answer in time; check the line and whether it runs, then try again",
    ),
    sync.BadDocument: ("文件不能采用，未作任何改动", "The file cannot be used, and nothing was changed"),
    sync.BadKey: ("这把公钥不能登记", "This public key may not be enrolled"),
    sync.Refused: ("内容不合规定，不能采用", "It is not as it must be and cannot be used"),
    sync.Held: ("与已有记录不合，需要人来处理", "It does not fit what is here; a person has to look"),
    sync.Deferred: ("还缺它所依据的记录，请先取得那些", "What it stands on has not come yet; get that first"),
    sync.SyncError: ("不合通信协议", "The protocol does not allow it"),
}

SAID: Mapping[type[Exception], Pair] = {**ON_TOPICS, **ON_THE_NODE, **ON_PEOPLE, **ON_WHAT_IS_GIVEN, **ON_THE_LINE}

CODES: Mapping[str, Pair] = {
    "not-a-bundle": ("这不是交换文件，请对方重新导出", "This is no bundle; have it exported again"),
    "cannot-decrypt": (
        "解不开：文件是给别的节点的，或已损坏；请对方重新导出",
        "It cannot be decrypted: it is for another node, or damaged; have it exported again",
    ),
    "truncated": ("文件不完整，请重新拷贝", "The file is not whole; copy it again"),
    "mixed": ("文件里混有两个节点的内容，请重新导出", "It holds documents of two senders; have it exported again"),
    "bad-seal": (
        "封签不对：文件被改动过，或不是所说的节点写的",
        "Its seal is not right: it was changed, or is not by the node it names",
    ),
    "malformed": ("文件无法读取，请重新取得", "It cannot be read; get it again"),
    "too-large": ("文件太大", "It is larger than what is taken"),
    "unknown-peer": (
        "发送方不是本节点认识的上级或下级，请核对文件是给谁的",
        "The sender is no parent or child known here; see whom the file is for",
    ),
    "not-for-me": ("文件是给别的节点的", "It is for another node"),
    "wrong-incarnation": (
        "发送方那一世已经终止（它恢复过备份或换过机器）：请它现在的节点重新导出；旧硬盘上的，见 docs/restore.zh-CN.md",
        "The sender wrote it in a life that is over, as it was restored or is on a new machine: have the node export it"
        " again that lives now; for an old disk see docs/restore.md",
    ),
    "link-stopped": (
        "与发送方的联络已停；查清原因后恢复：liandong lift",
        "The link to the sender stands still; find out why, then let it go on: liandong lift",
    ),
    "busy": ("对方正忙，请稍后再试", "The other side is busy; try again later"),
    "not-allowed": (
        "不许这样连接：地址不在放行的网段（LIANDONG_ALLOWED_NETWORKS），或 CA 证书文件不能用",
        "It may not be called: the address is outside LIANDONG_ALLOWED_NETWORKS, or the file of CA certificates is bad",
    ),
    "unexpected-answer": (
        "对方的答复不像节点，请核对地址",
        "What answered does not talk like a node; check the address",
    ),
}
"""Of the protocol, where they say more than the class. Those of statements are told in the words of the link board."""
