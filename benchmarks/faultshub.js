const { io } = require("socket.io-client"); const fs=require("fs");
const [url, tokensFile, admin] = process.argv.slice(2);
const tokens = JSON.parse(fs.readFileSync(tokensFile));
const KINDS=[["polling"],["websocket"],["polling","websocket"]];
const clients=[]; let stopping=false; const stat={acked:0,failed:0,fresh:0,recovered:0,reasons:{},sentAnn:0,annFailed:0,errors:{}};
const annIds=[];
function mk(i){const c={got:new Map(),firstConn:null,i};
 const s=io(url,{transports:KINDS[i%3],forceNew:true,auth:{token:tokens[i%tokens.length]},query:{recovery:"1"},timeout:60000,reconnectionDelay:100,reconnectionDelayMax:500});
 c.s=s; let first=true;
 s.on("connect",()=>{ if(first){first=false;c.firstConn=true;} else if(s.recovered) stat.recovered++; else stat.fresh++;});
 s.on("connect_error",e=>{stat.errors[e.message]=(stat.errors[e.message]||0)+1});
 s.on("disconnect",r=>{stat.reasons[r]=(stat.reasons[r]||0)+1});
 s.on("system-announcement",m=>{c.got.set(m.id,(c.got.get(m.id)||0)+1)});
 c.run=async()=>{while(!stopping){ if(!s.connected){await new Promise(r=>setTimeout(r,50));continue;}
   await new Promise(res=>s.timeout(60000).emit("ping",(e)=>{ if(e) stat.failed++; else stat.acked++; res();}));
   await new Promise(r=>setTimeout(r,300+Math.random()*400)); }};
 return c;}
(async()=>{
 for(let i=0;i<200;i++){clients.push(mk(i)); if(i%25==24) await new Promise(r=>setTimeout(r,100));}
 while(!clients.every(c=>c.firstConn)) await new Promise(r=>setTimeout(r,100));
 console.log("open");
 const runs=clients.map(c=>c.run());
 const a=io(url+"/admin",{transports:["websocket"],forceNew:true,auth:{token:admin},reconnectionDelay:100});
 a.on("connect_error",e=>console.error("admin",e.message));
 (async()=>{while(!stopping){ if(!a.connected){await new Promise(r=>setTimeout(r,50));continue;}
   await new Promise(res=>a.timeout(60000).emit("broadcast-announcement",{message:"m"+stat.sentAnn},(e,r)=>{stat.sentAnn++; if(e||!r.success){stat.annFailed++; stat.lastErr=e?String(e):JSON.stringify(r);} else annIds.push(r.id); res();}));
   await new Promise(r=>setTimeout(r,200)); }})();
 process.stdin.on("data",async d=>{ stopping=true; await Promise.all(runs); 
   while(!clients.every(c=>c.s.connected)) await new Promise(r=>setTimeout(r,100));
   await new Promise(r=>setTimeout(r,3000));
   let lost=0,dup=0,extra=0; for(const c of clients){ for(const id of annIds){const n=c.got.get(id)||0; if(n===0)lost++; if(n>1)dup++;} for(const id of c.got.keys()) if(!annIds.includes(id)) extra++; }
   console.log(JSON.stringify({...stat,announcements:annIds.length,lost,dup,extra})); process.exit(0);});
})();
